package main

import (
	"context"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

const (
	batchSize   = 32
	pollTimeout = 200 * time.Millisecond
)

func newPullConsumer(args arguments) (rocketmq.PullConsumer, error) {
	return rocketmq.NewPullConsumer(
		consumer.WithNsResolver(args.resolver()),
		consumer.WithGroupName(args["group"]),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
	)
}

// pull walks over the queues itself, from the offsets that the broker has for the group.
func pull(args arguments) error {
	client, err := newPullConsumer(args)
	if err != nil {
		return err
	}
	// Assigned nothing: the client would otherwise pull in the background too.
	if err := client.Assign(args["topic"], nil); err != nil {
		return err
	}
	if err := client.Start(); err != nil {
		return err
	}
	queues, err := client.GetTopicRouteInfo(args["topic"])
	if err != nil {
		return err
	}
	print(event{"event": "ready"})
	for _, queue := range queues {
		go drain(client, queue)
	}
	awaitEnd()
	return client.Shutdown()
}

func drain(client rocketmq.PullConsumer, queue *primitive.MessageQueue) {
	offset, err := client.CurrentOffset(queue)
	if err != nil || offset < 0 {
		offset = 0
	}
	for {
		result, err := client.PullFrom(context.Background(), queue, offset, batchSize)
		if err != nil {
			print(event{"event": "failed", "error": err.Error()})
			return
		}
		if result.Status == primitive.PullFound {
			for _, message := range result.GetMessageExts() {
				printReceived(message)
			}
		}
		offset = result.NextBeginOffset
		if err := client.UpdateOffset(queue, offset); err != nil {
			print(event{"event": "failed", "error": err.Error()})
			return
		}
	}
}

// lite is subscribed, so that the client balances and keeps offsets by itself; the program polls and acknowledges.
func lite(args arguments) error {
	client, err := newPullConsumer(args)
	if err != nil {
		return err
	}
	selector := consumer.MessageSelector{Type: consumer.TAG, Expression: args.or("tags", "*")}
	if err := client.Subscribe(args["topic"], selector); err != nil {
		return err
	}
	if err := client.Start(); err != nil {
		return err
	}
	print(event{"event": "ready"})
	end := make(chan struct{})
	go func() {
		awaitEnd()
		close(end)
	}()
	for {
		select {
		case <-end:
			return client.Shutdown()
		default:
		}
		polled, err := client.Poll(context.Background(), pollTimeout)
		if consumer.IsNoNewMsgError(err) {
			continue
		}
		if err != nil {
			return err
		}
		for _, message := range polled.GetMsgList() {
			printReceived(message)
		}
		client.ACK(context.Background(), polled, consumer.ConsumeSuccess)
	}
}
