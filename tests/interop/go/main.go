// The Go side of the interop suite: role=produce|push|pull|lite and further name=value arguments.
//
// A program of this suite decides nothing. It does what its standard input says, prints one JSON line for each
// message that it sent or received, and leaves when its input ends; the runner judges the lines.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/rlog"
)

func main() {
	rlog.SetLogLevel("error")
	args := parse(os.Args[1:])
	roles := map[string]func(arguments) error{"produce": produce, "push": push, "pull": pull, "lite": lite}
	run, known := roles[args["role"]]
	if !known {
		fail(fmt.Errorf("role: produce, push, pull or lite"))
	}
	if err := run(args); err != nil {
		fail(err)
	}
	print(event{"event": "stopped"})
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// arguments are the name=value words of the command line.
type arguments map[string]string

func parse(words []string) arguments {
	args := arguments{}
	for _, word := range words {
		name, value, found := strings.Cut(word, "=")
		if !found {
			fail(fmt.Errorf("expected name=value, got %s", word))
		}
		args[name] = value
	}
	return args
}

func (args arguments) or(name, otherwise string) string {
	if value, given := args[name]; given {
		return value
	}
	return otherwise
}

// resolver gives the name servers by number: this client refuses host names.
func (args arguments) resolver() primitive.NsResolver {
	var numeric []string
	for _, address := range strings.Split(args["namesrv"], ";") {
		resolved, err := net.ResolveTCPAddr("tcp4", address)
		if err != nil {
			fail(err)
		}
		numeric = append(numeric, resolved.String())
	}
	return primitive.NewPassthroughResolver(numeric)
}

// event is one JSON line on standard output.
type event map[string]any

var printing sync.Mutex

func print(line event) {
	line["at"] = time.Now().UnixMilli()
	text, err := json.Marshal(line)
	if err != nil {
		fail(err)
	}
	printing.Lock()
	defer printing.Unlock()
	fmt.Println(string(text))
}

func printReceived(message *primitive.MessageExt) {
	line := event{
		"event": "received", "body": string(message.Body), "topic": message.Topic,
		"queueId": message.Queue.QueueId, "queueOffset": message.QueueOffset,
		"msgId": message.MsgId, "reconsumeTimes": message.ReconsumeTimes,
	}
	if message.GetKeys() != "" {
		line["key"] = message.GetKeys()
	}
	if message.GetTags() != "" {
		line["tag"] = message.GetTags()
	}
	print(line)
}

// lines are the lines of standard input; the channel closes where it ends, which asks the program to stop.
func lines() <-chan string {
	all := make(chan string)
	go func() {
		defer close(all)
		scanner := bufio.NewScanner(os.Stdin)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			all <- scanner.Text()
		}
	}()
	return all
}

func awaitEnd() {
	for range lines() {
		continue
	}
}
