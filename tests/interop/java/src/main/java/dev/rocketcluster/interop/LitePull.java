package dev.rocketcluster.interop;

import java.io.IOException;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/** The lite pull consumer: subscribed, so that the client balances and commits by itself; the program polls. */
final class LitePull {
    private static final int POLL_MILLISECONDS = 200;

    private final DefaultLitePullConsumer consumer;
    private volatile boolean running = true;

    LitePull(Arguments arguments) throws Exception {
        consumer = new DefaultLitePullConsumer(arguments.get("group"));
        arguments.configure(consumer);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setAutoCommit(true);
        consumer.subscribe(arguments.get("topic"), arguments.get("tags", "*"));
    }

    void run() throws Exception {
        consumer.start();
        new Event("ready").print();
        Thread waiter = new Thread(this::awaitStop);
        waiter.setDaemon(true);
        waiter.start();
        while (running) {
            for (MessageExt message : consumer.poll(POLL_MILLISECONDS)) {
                Event.received(message).print();
            }
        }
        consumer.shutdown();
        new Event("stopped").print();
    }

    private void awaitStop() {
        try {
            new Input().awaitEnd();
        } catch (IOException error) {
            new Event("failed").with("error", error.toString()).print();
        }
        running = false;
    }
}
