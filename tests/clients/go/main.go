// Calls Segment's or RudderStack's SDK, which the first argument names: once for each message. KEY,
// HOST, MESSAGES and PATIENT (see messages.py) come from the environment. The last line it prints is
// JSON: the errors that the callback was told.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"
)

const interval = 100 * time.Millisecond

// message is a message in the form that the API takes.
type message struct {
	Type        string
	UserID      string `json:"userId"`
	AnonymousID string `json:"anonymousId"`
	PreviousID  string `json:"previousId"`
	GroupID     string `json:"groupId"`
	Event       string
	Name        string
	Category    string
	Properties  map[string]interface{}
	Traits      map[string]interface{}
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

// pause says how long a client waits before it tries again; it makes ten attempts.
func pause(attempt int) time.Duration {
	if os.Getenv("PATIENT") != "" {
		return time.Duration(attempt+1) * 2 * time.Second
	}
	return 10 * time.Millisecond
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	var messages []message
	check(json.Unmarshal([]byte(os.Getenv("MESSAGES")), &messages))
	send := sendBySegment
	if os.Args[1] == "rudder" {
		send = sendByRudder // of the twin of segment.go
	}
	o := &outcome{errors: []string{}}
	o.wait.Add(len(messages))
	send(os.Getenv("KEY"), os.Getenv("HOST"), messages, o)
	line, err := json.Marshal(o.errors)
	check(err)
	fmt.Println(string(line))
}
