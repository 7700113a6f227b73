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
        byte[] bytes = (json(fields) + "\n").getBytes(StandardCharsets.US_ASCII);
        synchronized (Event.class) {
            System.out.write(bytes, 0, bytes.length);
            System.out.flush();
        }
    }

    private static String json(Object value) {
        if (value instanceof Number) {
            return value.toString();
        }
        if (!(value instanceof Map)) {
            return quoted(value.toString());
        }
        StringBuilder object = new StringBuilder("{");
        for (Map.Entry<?, ?> field : ((Map<?, ?>) value).entrySet()) {
            object.append(object.length() > 1 ? "," : "")
                .append(quoted(field.getKey().toString())).append(':').append(json(field.getValue()));
        }
        return object.append('}').toString();
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
