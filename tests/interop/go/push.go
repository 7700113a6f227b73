package main

import (
	"context"
	"strings"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// retryDelayLevel is one second, so that a redelivery does not have to be waited for.
const retryDelayLevel = 1

// push is a push consumer: listener=concurrent|orderly, model=clustering|broadcasting.
func push(args arguments) error {
	model := consumer.Clustering
	if args["model"] == "broadcasting" {
		model = consumer.BroadCasting
	}
	client, err := rocketmq.NewPushConsumer(
		consumer.WithNsResolver(args.resolver()),
		consumer.WithGroupName(args["group"]),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
		consumer.WithConsumerModel(model),
		consumer.WithConsumerOrder(args["listener"] == "orderly"),
	)
	if err != nil {
		return err
	}
	failOnce := map[string]bool{}
	for _, key := range strings.Split(args["failOnce"], ",") {
		failOnce[key] = key != ""
	}
	selector := consumer.MessageSelector{Type: consumer.TAG, Expression: args.or("tags", "*")}
	if err := client.Subscribe(args["topic"], selector, listener(failOnce)); err != nil {
		return err
	}
	if err := client.Start(); err != nil {
		return err
	}
	print(event{"event": "ready"})
	awaitEnd()
	return client.Shutdown()
}

func listener(failOnce map[string]bool) func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
	return func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		later := false
		for _, message := range messages {
			printReceived(message)
			later = later || message.ReconsumeTimes == 0 && failOnce[message.GetKeys()]
		}
		if !later {
			return consumer.ConsumeSuccess, nil
		}
		if concurrent, ok := primitive.GetConcurrentlyCtx(ctx); ok {
			concurrent.DelayLevelWhenNextConsume = retryDelayLevel
		}
		return consumer.ConsumeRetryLater, nil
	}
}
