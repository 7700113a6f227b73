package dev.rocketcluster.interop;

import java.nio.charset.StandardCharsets;
import org.apache.rocketmq.common.message.Message;

/** A line of a producer's input: {@code key TAB tag TAB delayLevel TAB shard TAB body}; empty means absent. */
final class Order {
    final String key;
    final String tag;
    final int delayLevel;
    final String shard;
    final String body;

    Order(String line) {
        String[] fields = line.split("\t", 5);
        key = fields[0];
        tag = fields[1];
        delayLevel = fields[2].isEmpty() ? 0 : Integer.parseInt(fields[2]);
        shard = fields[3];
        body = fields[4];
    }

    Message message(String topic) {
        Message message = new Message(topic, tag, body.getBytes(StandardCharsets.UTF_8));
        if (!key.isEmpty()) {
            message.setKeys(key);
        }
        if (delayLevel > 0) {
            message.setDelayTimeLevel(delayLevel);
        }
        return message;
    }
}
