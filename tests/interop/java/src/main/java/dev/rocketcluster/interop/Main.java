package dev.rocketcluster.interop;

/**
 * Entry point: {@code role=produce|push|pull|lite|records} and further {@code name=value} arguments.
 *
 * <p>A program of this suite decides nothing. It does what its standard input says, prints one JSON line for each
 * message that it sent or received, and leaves when its input ends; the runner judges the lines.
 */
public final class Main {
    private Main() {
    }

    public static void main(String[] args) {
        try {
            run(new Arguments(args));
        } catch (Exception error) {
            error.printStackTrace();
            System.exit(1);
        }
        // The clients leave timers behind that would keep the process alive for a minute.
        System.exit(0);
    }

    private static void run(Arguments arguments) throws Exception {
        switch (arguments.get("role")) {
            case "produce":
                new Produce(arguments).run();
                break;
            case "push":
                new Push(arguments).run();
                break;
            case "pull":
                new Pull(arguments).run();
                break;
            case "lite":
                new LitePull(arguments).run();
                break;
            case "records":
                new Records(arguments).run();
                break;
            default:
                throw new IllegalArgumentException("role: produce, push, pull, lite or records");
        }
    }
}
