package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"reflect"
	"sync"
	"time"
)

// Load is how users behave.
type Load struct {
	URL      string
	Sessions int
	Pause    time.Duration // between two deeds of one session
	Seed     uint64
	Size     Size // of the shop
}

// Tally is what they met.
type Tally struct {
	Done     map[string]int `json:"done"`
	Refused  int            `json:"refused"` // sold out, or cancelled already
	Errors   int            `json:"errors"`
	First    *time.Time     `json:"first_error,omitempty"` // when the request began
	Last     *time.Time     `json:"last_error,omitempty"`  // when it ended
	Examples map[string]int `json:"examples,omitempty"`    // what the errors said
	Wrong    []string       `json:"wrong,omitempty"`       // answers that contradict earlier ones
}

// run lets users work until the context ends, and writes down what each wanted and got.
func (l Load) run(ctx context.Context, j *journal) (Tally, error) {
	t := Tally{Done: map[string]int{}, Examples: map[string]int{}}
	var mu sync.Mutex
	var broken error
	note := func(e entry, wrong string) {
		mu.Lock()
		defer mu.Unlock()
		if err := j.note(e); err != nil {
			broken = err
		}
		t.count(e, wrong)
	}
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: l.Sessions}}
	var wg sync.WaitGroup
	for i := range l.Sessions {
		wg.Go(func() {
			u := &user{load: l, client: client, session: i, rng: rand.New(rand.NewPCG(l.Seed, uint64(i))), orders: map[int64]Order{}, began: time.Now().UnixNano()}
			for ctx.Err() == nil {
				note(u.deed(ctx))
				select {
				case <-ctx.Done():
				case <-time.After(l.Pause):
				}
			}
		})
	}
	wg.Wait()
	return t, broken
}

func (t *Tally) count(e entry, wrong string) {
	switch {
	case e.acknowledged():
		t.Done[e.Did]++
	case !e.failed():
		t.Refused++
	default:
		if t.Errors++; t.First == nil || e.Began.Before(*t.First) {
			t.First = &e.Began
		}
		if t.Last == nil || e.Ended.After(*t.Last) {
			t.Last = &e.Ended
		}
		t.Examples[fmt.Sprintf("%d %s", e.Status, e.Why)]++
	}
	if wrong != "" && len(t.Wrong) < 100 {
		t.Wrong = append(t.Wrong, wrong)
	}
}

// user is one session. It has customers of its own, so that what it knows of them and of their orders is how they are.
type user struct {
	load    Load
	client  *http.Client
	session int
	rng     *rand.Rand
	began   int64
	count   int
	orders  map[int64]Order // as they were acknowledged; those whose state is not known are not there
	numbers []int64
}

// deed does one thing, and says what is wrong with the answer if something is.
func (u *user) deed(ctx context.Context) (entry, string) {
	u.count++
	e := entry{Session: u.session}
	switch n := u.rng.IntN(100); {
	case n < 45:
		return u.place(ctx, e)
	case n < 60 && len(u.numbers) > 0:
		return u.cancel(ctx, e)
	case n < 72:
		c := Customer{ID: u.customer(), Name: fmt.Sprintf("%s Nr. %d", firstCustomer(u.rng.IntN(1000)).Name, u.count)}
		e.Did, e.Person = didRename, &c
		return u.ask(ctx, e, http.MethodPut, fmt.Sprintf("/customers/%d", c.ID), c, nil), ""
	case n < 75 && u.session == 0:
		e.Did, e.Name, e.Value = didSet, "banner", fmt.Sprintf("Offer %d of today", u.count)
		return u.ask(ctx, e, http.MethodPut, "/settings/banner", map[string]string{"value": e.Value}, nil), ""
	case n < 85 || len(u.numbers) == 0:
		e.Did = didGreet
		return u.ask(ctx, e, http.MethodGet, "/welcome?name=you", nil, nil), ""
	default:
		return u.read(ctx, e)
	}
}

// customer is one of the session's own.
func (u *user) customer() int64 {
	n := (u.load.Size.Customers - u.session - 1) / u.load.Sessions
	return int64(u.rng.IntN(n+1)*u.load.Sessions + u.session + 1)
}

func (u *user) place(ctx context.Context, e entry) (entry, string) {
	o := Order{Ref: fmt.Sprintf("%x-%d-%d", u.began, u.session, u.count), Customer: u.customer()}
	for _, a := range u.rng.Perm(u.load.Size.Articles)[:1+u.rng.IntN(min(5, u.load.Size.Articles))] {
		o.Lines = append(o.Lines, Line{Article: int64(a + 1), Quantity: int64(1 + u.rng.IntN(3))})
	}
	e.Did, e.Order = didPlace, &o
	var made Order
	e = u.ask(ctx, e, http.MethodPost, "/orders", o, &made)
	if !e.acknowledged() {
		return e, ""
	}
	e.Order = &made
	u.orders[made.ID] = made
	u.numbers = append(u.numbers, made.ID)
	if made.Ref != o.Ref || made.Customer != o.Customer || len(made.Lines) != len(o.Lines) || made.Total != total(made.Lines) {
		return e, fmt.Sprintf("ordered %+v, got %+v", o, made)
	}
	return e, ""
}

func (u *user) cancel(ctx context.Context, e entry) (entry, string) {
	id := u.numbers[u.rng.IntN(len(u.numbers))]
	o, known := u.orders[id]
	e.Did, e.Order = didCancel, &Order{ID: id}
	e = u.ask(ctx, e, http.MethodPost, fmt.Sprintf("/orders/%d/cancel", id), nil, nil)
	before := o.State
	switch {
	case !known:
		return e, ""
	case e.acknowledged():
		o.State = cancelled
		u.orders[id] = o
	case e.unknown():
		delete(u.orders, id)
	}
	if !e.failed() && e.acknowledged() != (before == placed) {
		return e, fmt.Sprintf("order %d was %s, and its cancellation was answered with %d", id, before, e.Status)
	}
	return e, ""
}

// read looks at an order that was acknowledged.
func (u *user) read(ctx context.Context, e entry) (entry, string) {
	id := u.numbers[u.rng.IntN(len(u.numbers))]
	e.Did, e.Order = didRead, &Order{ID: id}
	var is Order
	e = u.ask(ctx, e, http.MethodGet, fmt.Sprintf("/orders/%d", id), nil, &is)
	if was, known := u.orders[id]; known && e.acknowledged() && !reflect.DeepEqual(was, is) {
		return e, fmt.Sprintf("order %d was %+v and is %+v", id, was, is)
	}
	if e.Status == http.StatusNotFound {
		return e, fmt.Sprintf("order %d was acknowledged and is not there", id)
	}
	return e, ""
}

// ask sends a request and waits for its answer even when the session is to end.
func (u *user) ask(ctx context.Context, e entry, method, path string, body, into any) entry {
	e.Began = time.Now()
	e.Status, e.Why = u.send(context.WithoutCancel(ctx), method, path, body, into)
	e.Ended = time.Now()
	return e
}

func (u *user) send(ctx context.Context, method, path string, body, into any) (int, string) {
	text, err := json.Marshal(body)
	if err != nil {
		return 0, err.Error()
	}
	q, err := http.NewRequestWithContext(ctx, method, u.load.URL+path, bytes.NewReader(text))
	if err != nil {
		return 0, err.Error()
	}
	a, err := u.client.Do(q)
	if err != nil {
		return 0, err.Error()
	}
	defer a.Body.Close()
	got, err := io.ReadAll(io.LimitReader(a.Body, 1<<20))
	if err != nil {
		return 0, err.Error()
	}
	var said struct{ Error string }
	if a.StatusCode >= 400 {
		_ = json.Unmarshal(got, &said)
		return a.StatusCode, said.Error
	}
	if into != nil {
		if err := json.Unmarshal(got, into); err != nil {
			return 0, err.Error()
		}
	}
	return a.StatusCode, ""
}
