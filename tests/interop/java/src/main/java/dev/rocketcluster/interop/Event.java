package dev.rocketcluster.interop;

import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.rocketmq.common.message.MessageExt;

/** One JSON line on standard output. */
final class Event {
    private final Map<String, Object> fields = new LinkedHashMap<>();

    Event(String event) {
        with("event", event).with("at", System.currentTimeMillis());
    }

    static Event received(MessageExt message) {
        return new Event("received")
            .with("key", message.getKeys())
            .with("tag", message.getTags())
            .with("body", new String(message.getBody(), StandardCharsets.UTF_8))
            .with("topic", message.getTopic())
            .with("queueId", message.getQueueId())
            .with("queueOffset", message.getQueueOffset())
            .with("msgId", message.getMsgId())
            .with("reconsumeTimes", message.getReconsumeTimes());
    }

    Event with(String name, Object value) {
        if (value != null) {
            fields.put(name, value);
        }
        return this;
    }

    void print() {
        StringBuilder line = new StringBuilder("{");
        for (Map.Entry<String, Object> field : fields.entrySet()) {
            line.append(line.length() > 1 ? "," : "").append(quoted(field.getKey())).append(':');
            Object value = field.getValue();
            line.append(value instanceof Number ? value.toString() : quoted(value.toString()));
        }
        byte[] bytes = line.append("}\n").toString().getBytes(StandardCharsets.US_ASCII);
        synchronized (Event.class) {
            System.out.write(bytes, 0, bytes.length);
            System.out.flush();
        }
    }

    private static String quoted(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                quoted.append('\\').append(c);
            } else if (c < 0x20 || c > 0x7e) {
                quoted.append(String.format("\\u%04x", (int) c));
            } else {
                quoted.append(c);
            }
        }
        return quoted.append('"').toString();
    }
}
