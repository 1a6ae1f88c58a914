// Calls Segment's or RudderStack's SDK: the first argument names it, the second says what to do.
// KEY, HOST, USER_ID and COUNT come from the environment. The last line it prints is JSON: the
// errors that the callback was told.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	rudder "github.com/rudderlabs/analytics-go/v4"
	segment "github.com/segmentio/analytics-go/v3"
)

const interval = 100 * time.Millisecond

var order = map[string]interface{}{
	"order_id": "o1",
	"total":    21.0,
	"products": []map[string]interface{}{{"product_id": "p", "quantity": 2}},
}

// outcome counts what the SDK has told of each message. Only when all are told is it closed: a
// client that is closed drops what it could not send yet.
type outcome struct {
	mutex  sync.Mutex
	wait   sync.WaitGroup
	errors []string
}

func (o *outcome) told(err error) {
	if err != nil {
		o.mutex.Lock()
		o.errors = append(o.errors, err.Error())
		o.mutex.Unlock()
	}
	o.wait.Done()
}

type segmentTold struct{ *outcome }

func (t segmentTold) Success(segment.Message)            { t.told(nil) }
func (t segmentTold) Failure(_ segment.Message, e error) { t.told(e) }

type rudderTold struct{ *outcome }

func (t rudderTold) Success(rudder.Message)            { t.told(nil) }
func (t rudderTold) Failure(_ rudder.Message, e error) { t.told(e) }

func segmentMessages(user, anonymous string) []segment.Message {
	address := map[string]string{"city": "Turin"}
	traits := segment.NewTraits().SetEmail(user+"@example.test").SetFirstName("Ada").
		Set("plan", "pro").Set("address", address)
	return []segment.Message{
		segment.Identify{UserId: user, Traits: traits},
		segment.Track{UserId: user, Event: "Opened", Properties: segment.NewProperties().Set("n", 1)},
		segment.Track{UserId: user, Event: "Order Completed", Properties: order},
		segment.Page{UserId: user, Name: "Pricing",
			Properties: segment.NewProperties().SetCategory("Docs")},
		segment.Screen{UserId: user, Name: "Main"},
		segment.Group{UserId: user, GroupId: "acme", Traits: segment.NewTraits().Set("size", 3)},
		segment.Track{AnonymousId: anonymous, Event: "Visited"},
		segment.Alias{PreviousId: anonymous, UserId: "known-" + user},
	}
}

func rudderMessages(user, anonymous string) []rudder.Message {
	address := map[string]string{"city": "Turin"}
	traits := rudder.NewTraits().SetEmail(user+"@example.test").SetFirstName("Ada").
		Set("plan", "pro").Set("address", address)
	return []rudder.Message{
		rudder.Identify{UserId: user, Traits: traits},
		rudder.Track{UserId: user, Event: "Opened", Properties: rudder.NewProperties().Set("n", 1)},
		rudder.Track{UserId: user, Event: "Order Completed", Properties: order},
		rudder.Page{UserId: user, Name: "Pricing",
			Properties: rudder.NewProperties().SetCategory("Docs")},
		rudder.Screen{UserId: user, Name: "Main"},
		rudder.Group{UserId: user, GroupId: "acme", Traits: rudder.NewTraits().Set("size", 3)},
		rudder.Track{AnonymousId: anonymous, Event: "Visited"},
		rudder.Alias{PreviousId: anonymous, UserId: "known-" + user},
	}
}

// pause says how long a client waits before it tries again; it makes ten attempts. Many messages are
// given minutes. A few are not, so that what is refused for good is soon told.
func pause(count int) func(int) time.Duration {
	return func(attempt int) time.Duration {
		if count > 0 {
			return time.Duration(attempt+1) * 2 * time.Second
		}
		return 10 * time.Millisecond
	}
}

type client[M any] interface {
	Enqueue(M) error
	Close() error
}

func use[M any](o *outcome, to client[M], messages []M) {
	o.wait.Add(len(messages))
	for _, message := range messages {
		check(to.Enqueue(message))
	}
	o.wait.Wait()
	check(to.Close())
}

func useSegment(o *outcome, key, host, user string, count int) {
	to, err := segment.NewWithConfig(key, segment.Config{
		Endpoint: host, Interval: interval, BatchSize: 10, Callback: segmentTold{o}, RetryAfter: pause(count),
	})
	check(err)
	messages := segmentMessages(user, "anonymous-"+user)
	if count > 0 {
		messages = make([]segment.Message, count)
	}
	for number := 0; number < count; number++ {
		messages[number] = segment.Track{UserId: user, Event: "E" + strconv.Itoa(number)}
	}
	use[segment.Message](o, to, messages)
}

func useRudder(o *outcome, key, host, user string, count int) {
	to, err := rudder.NewWithConfig(key, rudder.Config{
		DataPlaneUrl: host, Interval: interval, BatchSize: 10, Callback: rudderTold{o}, RetryAfter: pause(count),
	})
	check(err)
	messages := rudderMessages(user, "anonymous-"+user)
	if count > 0 {
		messages = make([]rudder.Message, count)
	}
	for number := 0; number < count; number++ {
		messages[number] = rudder.Track{UserId: user, Event: "E" + strconv.Itoa(number)}
	}
	use[rudder.Message](o, to, messages)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	count := 0
	if os.Args[2] == "many" {
		var err error
		count, err = strconv.Atoi(os.Getenv("COUNT"))
		check(err)
	}
	o := &outcome{errors: []string{}}
	key, host, user := os.Getenv("KEY"), os.Getenv("HOST"), os.Getenv("USER_ID")
	if os.Args[1] == "segment" {
		useSegment(o, key, host, user, count)
	} else {
		useRudder(o, key, host, user, count)
	}
	line, err := json.Marshal(o.errors)
	check(err)
	fmt.Println(string(line))
}
