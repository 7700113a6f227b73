package dev.rocketcluster.interop;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;

/** Prints the records of a commit log folder as Apache's own decoder reads them: the source of golden listings. */
final class Records {
    private static final int BLANK_MAGIC = 0xCBD43194;
    private static final int LARGEST_SHOWN = 200;

    private final Path folder;

    Records(Arguments arguments) {
        folder = Paths.get(arguments.get("folder"));
    }

    void run() throws Exception {
        List<Path> files;
        try (Stream<Path> found = Files.list(folder)) {
            files = found.sorted().collect(Collectors.toCollection(ArrayList::new));
        }
        for (Path file : files) {
            records(file);
        }
    }

    private static void records(Path file) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file));
        while (bytes.remaining() > 8) {
            int size = bytes.getInt(bytes.position());
            if (size <= 0 || bytes.getInt(bytes.position() + 4) == BLANK_MAGIC) {
                return;
            }
            ByteBuffer record = bytes.slice();
            record.limit(size);
            print(record, size);
            bytes.position(bytes.position() + size);
        }
    }

    private static void print(ByteBuffer record, int size) {
        // Read from the bytes themselves: the decoder changes or hides them. The places hold for IPv4 hosts.
        int magic = record.getInt(4);
        int bodyCrc = record.getInt(8);
        int sysFlag = record.getInt(36);
        int storedBodyLength = record.getInt(84);
        MessageExt message = MessageDecoder.decode(record, true, true);
        String body = new String(message.getBody(), StandardCharsets.UTF_8);
        new Event("record")
            .with("size", size)
            .with("magic", Integer.toHexString(magic))
            .with("bodyCrc", bodyCrc)
            .with("storedBodyLength", storedBodyLength)
            .with("topic", message.getTopic())
            .with("queueId", message.getQueueId())
            .with("queueOffset", message.getQueueOffset())
            .with("commitLogOffset", message.getCommitLogOffset())
            .with("sysFlag", sysFlag)
            .with("flag", message.getFlag())
            .with("bornTimestamp", message.getBornTimestamp())
            .with("bornHost", message.getBornHostString())
            .with("storeTimestamp", message.getStoreTimestamp())
            .with("storeHost", message.getStoreHost().toString().substring(1))
            .with("reconsumeTimes", message.getReconsumeTimes())
            .with("preparedTransactionOffset", message.getPreparedTransactionOffset())
            .with("bodyLength", message.getBody().length)
            .with("bodyStart", body.substring(0, Math.min(body.length(), LARGEST_SHOWN)))
            .with("properties", new TreeMap<>(message.getProperties()))
            .with("msgId", message.getMsgId())
            .print();
    }
}
