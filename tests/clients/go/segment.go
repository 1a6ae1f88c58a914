package main

import segment "github.com/segmentio/analytics-go/v3"

type segmentTold struct{ *outcome }

func (t segmentTold) Success(segment.Message)              { t.told(nil) }
func (t segmentTold) Failure(_ segment.Message, err error) { t.told(err) }

func segmentMessage(m message) segment.Message {
	switch m.Type {
	case "identify":
		return segment.Identify{UserId: m.UserID, Traits: m.Traits}
	case "track":
		return segment.Track{UserId: m.UserID, AnonymousId: m.AnonymousID, Event: m.Event,
			Properties: m.Properties}
	case "page":
		return segment.Page{UserId: m.UserID, Name: m.Name,
			Properties: segment.NewProperties().SetCategory(m.Category)}
	case "screen":
		return segment.Screen{UserId: m.UserID, Name: m.Name}
	case "group":
		return segment.Group{UserId: m.UserID, GroupId: m.GroupID, Traits: m.Traits}
	}
	return segment.Alias{PreviousId: m.PreviousID, UserId: m.UserID}
}

func sendBySegment(key, host string, messages []message, o *outcome) {
	to, err := segment.NewWithConfig(key, segment.Config{
		Endpoint: host, Interval: interval, BatchSize: 10, Callback: segmentTold{o}, RetryAfter: pause,
	})
	check(err)
	for _, each := range messages {
		check(to.Enqueue(segmentMessage(each)))
	}
	o.wait.Wait()
	check(to.Close())
}
