package dev.rocketcluster.interop;

import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.apache.rocketmq.client.ClientConfig;

/** The {@code name=value} arguments of a program. */
final class Arguments {
    private final Map<String, String> values = new HashMap<>();

    Arguments(String[] args) {
        for (String arg : args) {
            int equals = arg.indexOf('=');
            if (equals < 0) {
                throw new IllegalArgumentException("expected name=value, got " + arg);
            }
            values.put(arg.substring(0, equals), arg.substring(equals + 1));
        }
    }

    /** What holds for producers and consumers alike. */
    void configure(ClientConfig client) {
        client.setNamesrvAddr(get("namesrv"));
        // The client's own 3 s are too little where a dozen virtual machines start at once on two cores.
        client.setMqClientApiTimeout(10_000);
    }

    String get(String name) {
        String value = values.get(name);
        if (value == null) {
            throw new IllegalArgumentException("missing argument: " + name);
        }
        return value;
    }

    String get(String name, String otherwise) {
        return values.getOrDefault(name, otherwise);
    }

    /** A comma-separated list; empty when it was not given. */
    Set<String> set(String name) {
        String value = values.getOrDefault(name, "");
        return value.isEmpty() ? new HashSet<>() : new HashSet<>(Arrays.asList(value.split(",")));
    }
}
