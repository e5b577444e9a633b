// Package weir sends the records of log/slog to Weir. Copy this file into your project; it needs Go 1.22 or newer, and
// only the standard library.
//
//	handler := weir.New(weir.Options{Source: "shop"}) // also reads WEIR_URL and WEIR_TOKEN
//	defer handler.Close()
//	slog.SetDefault(slog.New(handler))
//
//	ctx = weir.With(ctx, slog.String("request_id", "r-17"))
//	slog.InfoContext(ctx, "order is paid", "order", 1234)
//
// A handler puts records into a queue in memory, and a goroutine sends what waits there, in batches:
//
//   - Nothing that the router does makes a call that logs wait, and nothing makes it panic.
//   - A batch is sent until the router acknowledges it. All attempts have the same key, so the router stores it once,
//     if it is back within its repeat_window (10 minutes).
//   - While the router is away, records wait, and are printed on standard error. When Capacity records wait, new ones
//     are lost. So are records that the router refuses, and what Close could not send within Deadline. What is lost is
//     counted (Lost), and a record tells how many when the router is back.
//   - A process that ends without Close, as by os.Exit, loses what waits: at most Capacity records.
package weir

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	mathrand "math/rand"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	defaultURL = "http://127.0.0.1:8080"
	// A batch has up to so many bytes, unless a single record has more. The router takes 16 MiB.
	batchBytes = 1 << 20
	// How long a batch waits for more records.
	linger = 100 * time.Millisecond
	// Pauses between attempts: doubled each time, up to the second. One that the router asks for counts up to the third.
	firstPause, longestPause, longestAsked = 100 * time.Millisecond, 10 * time.Second, 5 * time.Minute
	// Lines that found no room while the router is away, and are kept to be printed.
	overflowLines = 1000
	// How deep a value may nest in a record.
	deepest = 32
)

// Options of a handler. The zero value of each has a default.
type Options struct {
	// URL is where the router is; by default WEIR_URL.
	URL string
	// Token is by default WEIR_TOKEN.
	Token string
	// Source is the source of all records; by default the name of the program.
	Source string
	// Level is the lowest level that is sent; by default INFO.
	Level slog.Leveler
	// AddSource adds file, line and function of the call to the metadata.
	AddSource bool
	// Capacity is how many records may wait, those on their way included; by default 10,000.
	Capacity int
	// Batch is how many records are sent at once; by default 500.
	Batch int
	// Timeout is how long to wait for an answer; by default 10 s.
	Timeout time.Duration
	// Deadline is how long Close may take; by default 5 s.
	Deadline time.Duration
	// Console is where records are printed while the router is away; by default standard error. io.Discard for nowhere.
	Console io.Writer
}

// Handler is a slog.Handler that sends records to Weir.
type Handler struct {
	client *client
	// The groups that are open, and the attributes added to each of them; the first is no group.
	groups []group
}

type group struct {
	name  string
	attrs []slog.Attr
}

// New returns a handler that sends to Weir. A URL that can't be used is a panic here, and nowhere else.
func New(options Options) *Handler {
	handler := &Handler{client: newClient(options), groups: []group{{}}}
	go handler.client.run()
	return handler
}

type contextKey struct{}

// With returns a context whose attributes are in the `context` of every record that is logged with it. An attribute
// replaces one with the same name.
func With(ctx context.Context, attrs ...slog.Attr) context.Context {
	inherited, _ := ctx.Value(contextKey{}).([]slog.Attr)
	return context.WithValue(ctx, contextKey{}, append(inherited[:len(inherited):len(inherited)], attrs...))
}

// Enabled reports whether records of this level are sent.
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.client.options.Level.Level()
}

// WithAttrs returns a handler whose records have these attributes, too.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	groups := append([]group(nil), h.groups...)
	last := &groups[len(groups)-1]
	last.attrs = append(last.attrs[:len(last.attrs):len(last.attrs)], attrs...)
	return &Handler{h.client, groups}
}

// WithGroup returns a handler that puts what is added later into a group.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &Handler{h.client, append(h.groups[:len(h.groups):len(h.groups)], group{name: name})}
}

// Handle puts a record into the queue. It never waits, and never fails.
func (h *Handler) Handle(ctx context.Context, record slog.Record) error {
	h.client.send(h.encode(ctx, record))
	return nil
}

// Lost returns how many records were lost.
func (h *Handler) Lost() int64 { return h.client.lost.Load() }

// Flush waits until nothing is unsent, until the context is done. It reports whether that is so.
func (h *Handler) Flush(ctx context.Context) bool { return h.client.flush(ctx) }

// Close sends what waits, for Deadline at most. What is left then is lost, and printed.
func (h *Handler) Close() error {
	h.client.close()
	return nil
}

func (h *Handler) encode(ctx context.Context, record slog.Record) (line []byte) {
	fields := object{"source": h.client.options.Source}
	defer func() {
		// A value whose own methods panic must not end the program.
		if problem := recover(); problem != nil {
			text := fmt.Sprintf("%s (its attributes can't be shown: %v)", record.Message, problem)
			line = asLine(object{"source": fields["source"], "message": text, "level": levelName(record.Level)})
		}
	}()
	// Inside out: a group without attributes is left out.
	attrs := make([]slog.Attr, 0, record.NumAttrs())
	record.Attrs(func(attr slog.Attr) bool {
		attrs = append(attrs, attr)
		return true
	})
	for at := len(h.groups) - 1; at >= 0; at-- {
		attrs = append(h.groups[at].attrs[:len(h.groups[at].attrs):len(h.groups[at].attrs)], attrs...)
		if at > 0 {
			attrs = []slog.Attr{{Key: h.groups[at].name, Value: slog.GroupValue(attrs...)}}
		}
	}
	add(fields, attrs, 0)
	if inherited, _ := ctx.Value(contextKey{}).([]slog.Attr); len(inherited) > 0 {
		context, isObject := fields["context"].(object)
		merged := object{}
		add(merged, inherited, 0)
		for name, value := range context {
			merged[name] = value
		}
		if isObject || fields["context"] == nil {
			fields["context"] = merged
		}
	}
	// What the record itself is comes last: an attribute of the same name goes into the metadata.
	own := object{"level": levelName(record.Level), "message": record.Message}
	if !record.Time.IsZero() {
		own["timestamp"] = record.Time.UnixNano()
	}
	metadata, isObject := fields["metadata"].(object)
	if !isObject {
		metadata = object{}
		if other, is := fields["metadata"]; is {
			metadata["metadata"] = other
		}
	}
	for name, value := range own {
		if taken, is := fields[name]; is {
			metadata[name] = taken
		}
		fields[name] = value
	}
	if h.client.options.AddSource && record.PC != 0 {
		frame, _ := runtime.CallersFrames([]uintptr{record.PC}).Next()
		metadata["file"], metadata["line"], metadata["function"] = frame.File, frame.Line, frame.Function
	}
	if len(metadata) > 0 {
		fields["metadata"] = metadata
	}
	return asLine(fields)
}

// add adds attributes to a map: groups become maps, empty ones are left out, and unnamed ones are taken apart.
func add(into object, attrs []slog.Attr, depth int) {
	for _, attr := range attrs {
		value := attr.Value.Resolve()
		if attr.Equal(slog.Attr{}) {
			continue
		}
		if value.Kind() != slog.KindGroup {
			into[attr.Key] = plain(value)
			continue
		}
		inner := into
		if attr.Key != "" {
			if depth >= deepest {
				into[attr.Key] = value.String()
				continue
			}
			inner = object{}
		}
		add(inner, value.Group(), depth+1)
		if attr.Key != "" && len(inner) > 0 {
			into[attr.Key] = inner
		}
	}
}

// plain makes what JSON knows of a value.
func plain(value slog.Value) any {
	switch value.Kind() {
	case slog.KindDuration:
		return value.Duration().String()
	case slog.KindTime:
		return value.Time().Format(time.RFC3339Nano)
	case slog.KindFloat64:
		if number := value.Float64(); math.IsNaN(number) || math.IsInf(number, 0) {
			return fmt.Sprint(number)
		}
	}
	switch known := value.Any().(type) {
	case error:
		return known.Error()
	case json.Marshaler, encoding.TextMarshaler:
		return known
	case fmt.Stringer:
		return known.String()
	default:
		return known
	}
}

// object is a map that is made here, unlike those that an application logs.
type object map[string]any

// asLine makes JSON of a record. What JSON doesn't know becomes text.
func asLine(fields object) []byte {
	line, err := marshal(fields)
	if err == nil {
		return line
	}
	shown := make(object, len(fields))
	for name, value := range fields {
		part, err := marshal(value)
		nested, isObject := value.(object)
		switch {
		case err == nil:
			shown[name] = json.RawMessage(part)
		case isObject:
			shown[name] = json.RawMessage(asLine(nested))
		default:
			// Not with %v, which ends the program if a value contains itself.
			shown[name] = fmt.Sprintf("a %T that can't be sent: %v", value, err)
		}
	}
	// Now each of them is JSON.
	line, _ = marshal(shown)
	return line
}

func marshal(value any) ([]byte, error) {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSuffix(line.Bytes(), []byte("\n")), err
}

func levelName(level slog.Level) string {
	switch {
	case level < slog.LevelDebug:
		return "TRACE"
	case level < slog.LevelInfo:
		return "DEBUG"
	case level < slog.LevelWarn:
		return "INFO"
	case level < slog.LevelError:
		return "WARNING"
	case level < slog.LevelError+4:
		return "ERROR"
	default:
		return "CRITICAL"
	}
}

// client is a queue of records, and the goroutine that sends them.
type client struct {
	options Options
	target  string
	http    *http.Client
	lost    atomic.Int64

	// Guards what follows up to the next blank line.
	mutex    sync.Mutex
	waiting  [][]byte
	sending  [][]byte // the batch on its way
	overflow [][]byte // found no room while the router was away: only printed
	printed  int      // how many of `sending` and `waiting` have been printed
	told     int64    // how many of the lost records a record has told of
	away     bool
	refused  bool // the last batch was
	closed   bool

	wake    chan struct{} // the goroutine looks at the queue again
	hurry   atomic.Bool   // a flush waits: batches don't wait for more
	closing chan struct{} // closed by close
	stop    context.CancelFunc
	ctx     context.Context
	said    map[int]bool // statuses of refusals that were printed
}

func newClient(options Options) *client {
	choose := func(values ...string) string {
		for _, value := range values {
			if value != "" {
				return value
			}
		}
		return ""
	}
	options.URL = choose(options.URL, os.Getenv("WEIR_URL"), defaultURL)
	options.Token = choose(options.Token, os.Getenv("WEIR_TOKEN"))
	options.Source = choose(options.Source, filepath.Base(os.Args[0]))
	if options.Level == nil {
		options.Level = slog.LevelInfo
	}
	if options.Console == nil {
		options.Console = stderr{os.Stderr}
	}
	positive(&options.Capacity, 10_000)
	positive(&options.Batch, 500)
	positive(&options.Timeout, 10*time.Second)
	positive(&options.Deadline, 5*time.Second)
	target, err := url.Parse(options.URL)
	if err != nil || (target.Scheme != "http" && target.Scheme != "https") || target.Host == "" {
		panic(fmt.Sprintf("weir: %q is no address of a router: write http://HOST:PORT", options.URL))
	}
	target.Path = strings.TrimRight(target.Path, "/")
	if !strings.HasSuffix(target.Path, "/ingest") {
		target.Path += "/ingest"
	}
	transport, isPlain := http.DefaultTransport.(*http.Transport)
	if isPlain {
		transport = transport.Clone()
	} else {
		// The application has wrapped it, maybe in something that logs each request: here, too.
		transport = &http.Transport{Proxy: http.ProxyFromEnvironment}
	}
	// A redirection is an answer like others.
	follow := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client := &client{
		options: options,
		target:  target.String(),
		http:    &http.Client{Transport: transport, Timeout: options.Timeout, CheckRedirect: follow},
		wake:    make(chan struct{}, 1),
		closing: make(chan struct{}),
		said:    map[int]bool{},
	}
	client.ctx, client.stop = context.WithCancel(context.Background())
	return client
}

func positive[T int | time.Duration](value *T, otherwise T) {
	if *value <= 0 {
		*value = otherwise
	}
}

func (c *client) send(line []byte) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	switch {
	case c.closed:
		c.lost.Add(1)
		c.print([][]byte{line})
	case len(c.sending)+len(c.waiting) >= c.options.Capacity:
		c.lost.Add(1)
		if c.away && len(c.overflow) < overflowLines {
			c.overflow = append(c.overflow, line)
		}
	default:
		c.waiting = append(c.waiting, line)
		if len(c.waiting) == 1 || len(c.waiting) == c.options.Batch {
			c.wakeUp()
		}
	}
}

func (c *client) wakeUp() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *client) flush(ctx context.Context) bool {
	c.hurry.Store(true)
	defer c.hurry.Store(false)
	for {
		c.wakeUp()
		c.mutex.Lock()
		unsent := len(c.sending) + len(c.waiting)
		isDone := unsent == 0 && !c.hasNews()
		c.mutex.Unlock()
		if isDone {
			return true
		}
		select {
		case <-ctx.Done():
			return unsent == 0
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func (c *client) close() {
	ctx, cancel := context.WithTimeout(context.Background(), c.options.Deadline)
	defer cancel()
	c.flush(ctx)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	close(c.closing)
	c.stop()
	lines := append(c.sending, c.waiting...)
	c.lost.Add(int64(len(lines)))
	c.sending, c.waiting = nil, nil
	if len(lines) > 0 {
		c.say("%d records were not acknowledged before the end", len(lines))
	}
	c.print(append(lines[min(c.printed, len(lines)):], c.overflow...))
}

// hasNews reports whether a record should tell of what was lost: not while the router refuses everything.
func (c *client) hasNews() bool { return c.lost.Load() != c.told && !c.refused && !c.closed }

// What follows runs in the goroutine.

func (c *client) run() {
	for {
		c.mutex.Lock()
		count, hasNews, closed := len(c.waiting), c.hasNews(), c.closed
		c.mutex.Unlock()
		if closed {
			return
		}
		if count == 0 && !hasNews {
			select {
			case <-c.wake:
			case <-c.closing:
				return
			}
		}
		c.gather()
		c.deliver(c.take())
	}
}

// gather gives a batch a moment to fill.
func (c *client) gather() {
	until := time.NewTimer(linger)
	defer until.Stop()
	for {
		c.mutex.Lock()
		isFull := len(c.waiting) >= c.options.Batch
		c.mutex.Unlock()
		if isFull || c.hurry.Load() {
			return
		}
		select {
		case <-c.wake:
		case <-until.C:
			return
		case <-c.closing:
			return
		}
	}
}

func (c *client) take() [][]byte {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.closed {
		return nil
	}
	size, count := 0, 0
	for ; count < min(len(c.waiting), c.options.Batch); count++ {
		size += len(c.waiting[count]) + 1
		if size > batchBytes && count > 0 {
			break
		}
	}
	c.sending = append([][]byte(nil), c.waiting[:count]...)
	c.waiting = c.waiting[count:]
	return append([][]byte(nil), c.sending...)
}

func (c *client) deliver(lines [][]byte) {
	lost, report := c.lost.Load(), [][]byte(nil)
	if lost != c.told {
		report = [][]byte{c.report(lost-c.told, lost)}
	}
	if len(lines)+len(report) == 0 {
		return
	}
	acknowledged := c.deliverParts(lines, report)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.refused = !acknowledged
	if acknowledged && report != nil {
		c.told = lost
	}
}

func (c *client) report(count, all int64) []byte {
	return asLine(object{
		"timestamp": time.Now().UnixNano(),
		"level":     "WARNING",
		"source":    c.options.Source,
		"message":   fmt.Sprintf("%d records were lost before this one", count),
		"metadata":  object{"lost": count, "lost_all_time": all, "process": os.Getpid()},
	})
}

// deliverParts sends lines until they are acknowledged or refused. It reports whether all were acknowledged.
func (c *client) deliverParts(lines, report [][]byte) bool {
	body := bytes.Join(append(lines[:len(lines):len(lines)], report...), []byte(","))
	status, text := c.postUntilAnswered(append(append([]byte("["), body...), ']'), newKey())
	if status == http.StatusRequestEntityTooLarge && len(lines)+len(report) > 1 {
		// Those in front are settled first, as they are the first of `sending`.
		middle := len(lines) / 2
		first := middle == 0 || c.deliverParts(lines[:middle], nil)
		rest := len(lines) == 0 || c.deliverParts(lines[middle:], nil)
		return first && rest && (len(report) == 0 || c.deliverParts(nil, report))
	}
	if status > 0 && status != http.StatusOK && !c.said[status] {
		c.said[status] = true
		c.say("%s refuses records, which are lost: %d %s", c.options.URL, status, text)
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if status == 0 || c.closed {
		return false
	}
	if status != http.StatusOK {
		c.lost.Add(int64(len(lines)))
	}
	c.sending = c.sending[len(lines):]
	c.printed = max(0, c.printed-len(lines))
	return status == http.StatusOK
}

// postUntilAnswered returns the final answer, or 0 if the client was closed meanwhile.
func (c *client) postUntilAnswered(body []byte, key string) (int, string) {
	pause := firstPause
	for attempt := 0; c.ctx.Err() == nil; attempt++ {
		status, text, asked := c.post(body, key)
		isBusy := status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
		isLater := isBusy || status == http.StatusRequestTimeout || status == http.StatusTooEarly
		if status > 0 && status < 500 && !isLater {
			c.isBack()
			return status, text
		}
		if !isBusy || attempt >= 3 {
			c.isAway(text)
		}
		jittered := time.Duration(float64(pause) * (0.5 + mathrand.Float64()/2))
		c.pause(max(jittered, min(asked, longestAsked)))
		pause = min(pause*2, longestPause)
	}
	return 0, ""
}

// pause waits, and prints what is logged meanwhile.
func (c *client) pause(length time.Duration) {
	until := time.Now().Add(length)
	for left := length; left > 0; left = time.Until(until) {
		c.printWaiting()
		select {
		case <-c.closing:
			return
		case <-time.After(min(left, 200*time.Millisecond)):
		}
	}
}

// post makes one attempt. It returns the status or 0, a text, and the time that the router asks for.
func (c *client) post(body []byte, key string) (int, string, time.Duration) {
	request, err := http.NewRequestWithContext(c.ctx, http.MethodPost, c.target, bytes.NewReader(body))
	if err != nil {
		return 0, err.Error(), 0
	}
	request.Header.Set("Content-Type", "application/json")
	// With this header, Go's client tries once more by itself if the router has closed an idle connection.
	request.Header.Set("Idempotency-Key", key)
	if c.options.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.options.Token)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		var urlError *url.Error
		if errors.As(err, &urlError) {
			err = urlError.Err
		}
		return 0, err.Error(), 0
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 4096))
	seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
	short := strings.Join(strings.Fields(string(text)), " ")
	return answer.StatusCode, short[:min(len(short), 200)], time.Duration(max(seconds, 0)) * time.Second
}

func newKey() string {
	var key [16]byte
	// Never fails since Go 1.24; before, an error leaves zeros, so the time is in the key, too.
	_, _ = rand.Read(key[:])
	return fmt.Sprintf("%x-%x", key, time.Now().UnixNano())
}

func (c *client) isAway(reason string) {
	if c.setAway(true) {
		c.say("%s is away (%s); up to %d records wait and are printed here", c.options.URL, reason, c.options.Capacity)
	}
}

// setAway reports whether that is a change. What is said of it is said without the lock: a console that is stalled must
// not hold up those who log.
func (c *client) setAway(away bool) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	changes := c.away != away && !c.closed
	c.away = away
	return changes
}

func (c *client) isBack() {
	if !c.setAway(false) {
		return
	}
	lost := ""
	if count := c.lost.Load() - c.told; count > 0 {
		lost = fmt.Sprintf("; %d records were lost", count)
	}
	c.say("%s is back%s", c.options.URL, lost)
}

func (c *client) printWaiting() {
	c.mutex.Lock()
	if !c.away || c.closed {
		c.mutex.Unlock()
		return
	}
	lines := append(append([][]byte(nil), c.sending...), c.waiting...)[c.printed:]
	c.printed += len(lines)
	lines, c.overflow = append(lines, c.overflow...), nil
	c.mutex.Unlock()
	c.print(lines)
}

func (c *client) print(lines [][]byte) {
	var text strings.Builder
	for _, line := range lines {
		var record struct {
			Timestamp              int64
			Level, Source, Message string
		}
		_ = json.Unmarshal(line, &record)
		at := time.Unix(0, record.Timestamp).Format(time.TimeOnly)
		fmt.Fprintf(&text, "%s %s %s: %s\n", at, record.Level, record.Source, record.Message)
	}
	// There is nobody to tell of an error here.
	_, _ = io.WriteString(c.options.Console, text.String())
}

func (c *client) say(format string, values ...any) {
	_, _ = fmt.Fprintf(c.options.Console, "weir: "+format+"\n", values...)
}

// stderr is standard error that may have lost its reader, as in `app 2>&1 | head`: os.File would end the program then.
type stderr struct{ file *os.File }

func (s stderr) Write(text []byte) (int, error) {
	// Windows has no SIGPIPE, and its console needs os.File.
	if runtime.GOOS == "windows" {
		return s.file.Write(text)
	}
	return writeTo(syscall.Write, s.file, text)
}

// writeTo calls `write` until all is written. The type of its descriptor depends on the system.
func writeTo[FD ~int | ~uintptr](write func(FD, []byte) (int, error), file *os.File, text []byte) (done int, err error) {
	connection, err := file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	err = connection.Write(func(fd uintptr) bool {
		for done < len(text) {
			count, err := write(FD(fd), text[done:])
			done += max(count, 0)
			switch {
			case errors.Is(err, syscall.EAGAIN):
				return false
			case err == nil && count == 0:
				err = io.ErrUnexpectedEOF
				fallthrough
			case err != nil && !errors.Is(err, syscall.EINTR):
				failed = err
				return true
			}
		}
		return true
	})
	return done, errors.Join(err, failed)
}
