package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// order is a line of a producer's input: key TAB tag TAB delayLevel TAB shard TAB body; empty means absent.
type order struct {
	key     string
	message *primitive.Message
}

func newOrder(topic, line string) order {
	fields := strings.SplitN(line, "\t", 5)
	message := primitive.NewMessage(topic, []byte(fields[4]))
	if fields[0] != "" {
		message.WithKeys([]string{fields[0]})
	}
	if fields[1] != "" {
		message.WithTag(fields[1])
	}
	if level, err := strconv.Atoi(fields[2]); err == nil && level > 0 {
		message.WithDelayTimeLevel(level)
	}
	if fields[3] != "" {
		message.WithShardingKey(fields[3])
	}
	return order{fields[0], message}
}

// sender sends in one mode: sync, async, oneway, ordered or batch (where an empty line closes a batch).
type sender struct {
	client     rocketmq.Producer
	topic      string
	mode       string
	unanswered sync.WaitGroup
	batch      []order
}

// produce sends what its input says, one message a line.
func produce(args arguments) error {
	options := []producer.Option{
		producer.WithNsResolver(args.resolver()),
		producer.WithGroupName(args["group"]),
		// The client's own 3 s are too little where a dozen programs start at once on two cores.
		producer.WithSendMsgTimeout(10 * time.Second),
	}
	mode := args.or("mode", "sync")
	if mode == "ordered" {
		options = append(options, producer.WithQueueSelector(producer.NewHashQueueSelector()))
	}
	client, err := rocketmq.NewProducer(options...)
	if err != nil {
		return err
	}
	if err := client.Start(); err != nil {
		return err
	}
	print(event{"event": "ready"})
	s := &sender{client: client, topic: args["topic"], mode: mode}
	for line := range lines() {
		if mode == "batch" {
			s.collect(line)
		} else {
			s.send(newOrder(s.topic, line))
		}
	}
	s.unanswered.Wait()
	return client.Shutdown()
}

func (s *sender) send(o order) {
	background := context.Background()
	switch s.mode {
	case "sync", "ordered":
		result, err := s.client.SendSync(background, o.message)
		printSent(o, result, err)
	case "oneway":
		printSent(o, nil, s.client.SendOneWay(background, o.message))
	case "async":
		s.unanswered.Add(1)
		err := s.client.SendAsync(background, func(_ context.Context, result *primitive.SendResult, err error) {
			printSent(o, result, err)
			s.unanswered.Done()
		}, o.message)
		if err != nil {
			printSent(o, nil, err)
			s.unanswered.Done()
		}
	default:
		fail(fmt.Errorf("mode: sync, async, oneway, ordered or batch"))
	}
}

func (s *sender) collect(line string) {
	if line != "" {
		s.batch = append(s.batch, newOrder(s.topic, line))
		return
	}
	messages := make([]*primitive.Message, len(s.batch))
	for i, o := range s.batch {
		messages[i] = o.message
	}
	_, err := s.client.SendSync(context.Background(), messages...)
	for _, o := range s.batch {
		// This client gives the messages of a batch no ids of their own, so there is nothing more to tell of each.
		printSent(o, nil, err)
	}
	s.batch = nil
}

func printSent(o order, result *primitive.SendResult, err error) {
	if err != nil {
		print(event{"event": "failed", "key": o.key, "error": err.Error()})
		return
	}
	line := event{"event": "sent", "key": o.key}
	if result != nil {
		line["status"] = map[bool]string{true: "SEND_OK", false: fmt.Sprint(result.Status)}[result.Status == primitive.SendOK]
		line["msgId"] = result.MsgID
		line["queueId"] = result.MessageQueue.QueueId
		line["queueOffset"] = result.QueueOffset
	}
	print(line)
}
