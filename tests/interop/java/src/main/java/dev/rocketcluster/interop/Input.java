package dev.rocketcluster.interop;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;

/** Standard input: what the runner wants sent, line by line; its end asks the program to stop. */
final class Input {
    private final BufferedReader reader = new BufferedReader(
        new InputStreamReader(System.in, StandardCharsets.UTF_8));

    /** The next line, or null at the end. */
    String line() throws IOException {
        return reader.readLine();
    }

    void awaitEnd() throws IOException {
        while (line() != null) {
            continue;
        }
    }
}
