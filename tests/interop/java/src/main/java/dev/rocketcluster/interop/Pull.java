package dev.rocketcluster.interop;

import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** The plain pull consumer: the program walks over the queues itself and keeps its offsets in the broker. */
final class Pull {
    private static final int BATCH = 32;
    private static final int PAUSE_MILLISECONDS = 100;

    private final DefaultMQPullConsumer consumer;
    private final String topic;
    private final String tags;
    /** Kept here too: a rebalance drops what the client remembers of a queue, and may come between two pulls. */
    private final Map<MessageQueue, Long> offsets = new HashMap<>();
    private final CountDownLatch stop = new CountDownLatch(1);

    Pull(Arguments arguments) {
        consumer = new DefaultMQPullConsumer(arguments.get("group"));
        arguments.configure(consumer);
        topic = arguments.get("topic");
        tags = arguments.get("tags", "*");
    }

    void run() throws Exception {
        consumer.start();
        Set<MessageQueue> queues = consumer.fetchSubscribeMessageQueues(topic);
        new Event("ready").print();
        Thread waiter = new Thread(this::awaitStop);
        waiter.setDaemon(true);
        waiter.start();
        do {
            for (MessageQueue queue : queues) {
                drain(queue);
            }
        } while (!stop.await(PAUSE_MILLISECONDS, TimeUnit.MILLISECONDS));
        consumer.shutdown();
        new Event("stopped").print();
    }

    private void drain(MessageQueue queue) throws Exception {
        PullResult result = consumer.pull(queue, tags, offset(queue), BATCH);
        while (result.getPullStatus() == PullStatus.FOUND || result.getPullStatus() == PullStatus.NO_MATCHED_MSG) {
            if (result.getPullStatus() == PullStatus.FOUND) {
                for (MessageExt message : result.getMsgFoundList()) {
                    Event.received(message).print();
                }
            }
            offsets.put(queue, result.getNextBeginOffset());
            consumer.updateConsumeOffset(queue, result.getNextBeginOffset());
            result = consumer.pull(queue, tags, result.getNextBeginOffset(), BATCH);
        }
    }

    private long offset(MessageQueue queue) throws Exception {
        Long offset = offsets.get(queue);
        return offset != null ? offset : Math.max(consumer.fetchConsumeOffset(queue, true), 0);
    }

    private void awaitStop() {
        try {
            new Input().awaitEnd();
        } catch (IOException error) {
            new Event("failed").with("error", error.toString()).print();
        }
        stop.countDown();
    }
}
