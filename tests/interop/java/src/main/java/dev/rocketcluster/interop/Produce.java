package dev.rocketcluster.interop;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Phaser;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;

/**
 * Sends what its input says, one message a line, in one {@code mode}: sync, async, oneway, ordered or batch
 * (where an empty line closes a batch).
 */
final class Produce {
    private static final int ASYNC_DEADLINE_SECONDS = 30;

    private final DefaultMQProducer producer;
    private final String topic;
    private final String mode;
    private final Phaser unanswered = new Phaser(1);
    private final List<Order> batch = new ArrayList<>();

    Produce(Arguments arguments) {
        producer = new DefaultMQProducer(arguments.get("group"));
        arguments.configure(producer);
        producer.setSendMsgTimeout(10_000);
        topic = arguments.get("topic");
        mode = arguments.get("mode", "sync");
    }

    void run() throws Exception {
        producer.start();
        new Event("ready").print();
        Input input = new Input();
        for (String line = input.line(); line != null; line = input.line()) {
            if (mode.equals("batch")) {
                collect(line);
            } else {
                attempt(new Order(line));
            }
        }
        unanswered.awaitAdvanceInterruptibly(unanswered.arrive(), ASYNC_DEADLINE_SECONDS, TimeUnit.SECONDS);
        producer.shutdown();
        new Event("stopped").print();
    }

    private void attempt(Order order) {
        try {
            send(order);
        } catch (Exception error) {
            failed(order, error);
        }
    }

    private void send(Order order) throws Exception {
        Message message = order.message(topic);
        switch (mode) {
            case "sync":
                sent(order, producer.send(message));
                break;
            case "async":
                unanswered.register();
                producer.send(message, new Answer(order));
                break;
            case "oneway":
                producer.sendOneway(message);
                sent(order, null);
                break;
            case "ordered":
                sent(order, producer.send(message,
                    (queues, asked, shard) -> queues.get(Math.floorMod(shard.hashCode(), queues.size())),
                    order.shard));
                break;
            default:
                throw new IllegalArgumentException("mode: sync, async, oneway, ordered or batch");
        }
    }

    private void collect(String line) {
        if (!line.isEmpty()) {
            batch.add(new Order(line));
            return;
        }
        List<Message> messages = new ArrayList<>();
        for (Order order : batch) {
            messages.add(order.message(topic));
        }
        try {
            String status = producer.send(messages).getSendStatus().name();
            // No ids: those that 5.x tells of a batch are not those under which Apache's broker delivers it.
            batch.forEach(order -> new Event("sent").with("key", order.key).with("status", status).print());
        } catch (Exception error) {
            batch.forEach(order -> failed(order, error));
        }
        batch.clear();
    }

    private static void sent(Order order, SendResult result) {
        Event event = new Event("sent").with("key", order.key);
        if (result != null) {
            event.with("status", result.getSendStatus().name())
                .with("msgId", result.getMsgId())
                .with("queueId", result.getMessageQueue().getQueueId())
                .with("queueOffset", result.getQueueOffset());
        }
        event.print();
    }

    private static void failed(Order order, Throwable error) {
        new Event("failed").with("key", order.key).with("error", error.toString()).print();
    }

    private final class Answer implements SendCallback {
        private final Order order;

        Answer(Order order) {
            this.order = order;
        }

        @Override
        public void onSuccess(SendResult result) {
            sent(order, result);
            unanswered.arriveAndDeregister();
        }

        @Override
        public void onException(Throwable error) {
            failed(order, error);
            unanswered.arriveAndDeregister();
        }
    }
}
