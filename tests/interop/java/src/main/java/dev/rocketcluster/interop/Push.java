package dev.rocketcluster.interop;

import java.util.List;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyContext;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyContext;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/** A push consumer: {@code listener=concurrent|orderly}, {@code model=clustering|broadcasting}. */
final class Push {
    /** One second, so that a redelivery does not have to be waited for. */
    private static final int RETRY_DELAY_LEVEL = 1;

    private final DefaultMQPushConsumer consumer;
    private final Set<String> failOnce;

    Push(Arguments arguments) throws Exception {
        failOnce = arguments.set("failOnce");
        consumer = new DefaultMQPushConsumer(arguments.get("group"));
        arguments.configure(consumer);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        // The enum's package differs between 4.x and 5.x, so the sources may not name it.
        consumer.setMessageModel(Enum.valueOf(
            consumer.getMessageModel().getDeclaringClass(), arguments.get("model", "clustering").toUpperCase()));
        consumer.subscribe(arguments.get("topic"), arguments.get("tags", "*"));
        if (arguments.get("listener", "concurrent").equals("orderly")) {
            consumer.registerMessageListener((MessageListenerOrderly) this::inOrder);
        } else {
            consumer.registerMessageListener((MessageListenerConcurrently) this::concurrently);
        }
    }

    void run() throws Exception {
        consumer.start();
        new Event("ready").print();
        new Input().awaitEnd();
        consumer.shutdown();
        new Event("stopped").print();
    }

    private ConsumeConcurrentlyStatus concurrently(List<MessageExt> messages, ConsumeConcurrentlyContext context) {
        boolean later = false;
        for (MessageExt message : messages) {
            Event.received(message).print();
            later |= message.getReconsumeTimes() == 0 && failOnce.contains(message.getKeys());
        }
        context.setDelayLevelWhenNextConsume(RETRY_DELAY_LEVEL);
        return later ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
    }

    private ConsumeOrderlyStatus inOrder(List<MessageExt> messages, ConsumeOrderlyContext context) {
        for (MessageExt message : messages) {
            Event.received(message).print();
        }
        return ConsumeOrderlyStatus.SUCCESS;
    }
}
