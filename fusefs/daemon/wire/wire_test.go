// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestDecodeRequest(t *testing.T) {
	const cgroup = `"cgroup":{"unified":"/c/web"}`
	for _, tt := range []struct {
		name, line string
		code       string // "" for a good one
	}{
		{"register", `{"n":1,"op":"register","registration":{"id":"web",` + cgroup + `,"init_pid":4711,"container":{"engine":"docker","id":"3f","name":"web"},"choices":{"swap":"none","files":"-meminfo"},"owned":true}}`, ""},
		{"register, fields left out", `{"op":"register","registration":{"id":"web",` + cgroup + `,"init_pid":4711}}`, ""},
		{"resolve", `{"n":1,"op":"resolve","registration":{"id":"web",` + cgroup + `,"init_pid":4711}}`, ""},
		{"resolve without", `{"op":"resolve","id":"web"}`, CodeMalformed},
		{"unregister", `{"n":2,"op":"unregister","id":"web"}`, ""},
		{"list", `{"n":3,"op":"list"}`, ""},
		{"server", `{"n":3,"op":"server"}`, ""},
		{"explain", `{"op":"explain","explain":{"id":"web","file":"proc/meminfo"}}`, ""},
		{"explain a part", `{"op":"explain","explain":{"id":"web","file":"proc/meminfo","offset":9}}`, ""},
		{"explain a snapshot", `{"op":"explain","explain":{"file":"proc/meminfo","snapshot":18446744073709551615}}`, ""},
		{"list from", `{"n":3,"op":"list","after":"web"}`, ""},
		{"id as systemd escapes it", `{"op":"unregister","id":"a\\x2db.c:d@e+f_g"}`, ""},

		{"nothing", ``, CodeMalformed},
		{"blank", ` `, CodeMalformed},
		{"no JSON", `register web`, CodeMalformed},
		{"no object", `[1]`, CodeMalformed},
		{"null", `null`, CodeMalformed},
		{"cut", `{"op":"list"`, CodeMalformed},
		{"two", `{"op":"list"}{"op":"list"}`, CodeMalformed},
		{"wrong type", `{"op":7}`, CodeMalformed},
		{"number too large", `{"n":18446744073709551616,"op":"list"}`, CodeMalformed},
		{"no op", `{"n":1}`, CodeMalformed},
		{"unknown op", `{"op":"dance"}`, CodeMalformed},
		{"unknown field", `{"op":"list","colour":"red"}`, CodeMalformed},
		{"unknown field inside", `{"op":"register","registration":{"id":"web","init_pid":2,"colour":"red"}}`, CodeMalformed},
		{"list with id", `{"op":"list","id":"web"}`, CodeMalformed},
		{"server with id", `{"op":"server","id":"web"}`, CodeMalformed},
		{"choice no text", `{"op":"register","registration":{"id":"web",` + cgroup + `,"init_pid":2,"choices":{"host-counters":true}}}`, CodeMalformed},
		{"register without", `{"op":"register"}`, CodeMalformed},
		{"unregister without", `{"op":"unregister"}`, CodeMalformed},
		{"unregister with after", `{"op":"unregister","id":"a","after":"b"}`, CodeMalformed},

		{"explain without", `{"op":"explain"}`, CodeMalformed},
		{"explain with id", `{"op":"explain","id":"a","explain":{"id":"a","file":"b"}}`, CodeMalformed},
		{"list with explain", `{"op":"list","explain":{"id":"a","file":"b"}}`, CodeMalformed},

		{"explain nobody", `{"op":"explain","explain":{"file":"proc/meminfo"}}`, CodeInvalid},
		{"explain nothing", `{"op":"explain","explain":{"id":"a"}}`, CodeInvalid},
		{"explain from before", `{"op":"explain","explain":{"id":"a","file":"b","offset":-1}}`, CodeInvalid},
		{"explain a bad id", `{"op":"explain","explain":{"id":"../a","file":"b"}}`, CodeInvalid},
		{"explain a long path", `{"op":"explain","explain":{"id":"a","file":"` + strings.Repeat("a", maxPath+1) + `"}}`, CodeInvalid},

		{"id missing", `{"op":"register","registration":{"init_pid":2}}`, CodeInvalid},
		{"id too long", `{"op":"unregister","id":"` + strings.Repeat("a", maxID+1) + `"}`, CodeInvalid},
		{"id a path", `{"op":"unregister","id":"a/b"}`, CodeInvalid},
		{"id a parent", `{"op":"unregister","id":".."}`, CodeInvalid},
		{"id an option", `{"op":"unregister","id":"-a"}`, CodeInvalid},
		{"id with line feed", `{"op":"unregister","id":"a\nb"}`, CodeInvalid},
		{"id with NUL", `{"op":"unregister","id":"a\u0000"}`, CodeInvalid},
		{"id not ASCII", `{"op":"unregister","id":"ä"}`, CodeInvalid},
		{"no pid", `{"op":"register","registration":{"id":"web",` + cgroup + `}}`, CodeInvalid},
		{"pid negative", `{"op":"register","registration":{"id":"web",` + cgroup + `,"init_pid":-1}}`, CodeInvalid},
		{"pid too large", `{"op":"register","registration":{"id":"web",` + cgroup + `,"init_pid":4194305}}`, CodeInvalid},
		{"unknown choice", `{"op":"register","registration":{"id":"web",` + cgroup + `,"init_pid":2,"choices":{"colour":"red"}}}`, CodeInvalid},
		{"choice out of range", `{"op":"register","registration":{"id":"web",` + cgroup + `,"init_pid":2,"choices":{"swap":"some"}}}`, CodeInvalid},
		{"host's init owned", `{"op":"register","registration":{"id":"web",` + cgroup + `,"init_pid":1,"owned":true}}`, CodeInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := DecodeRequest([]byte(tt.line))
			if got := codeOf(err); got != tt.code {
				t.Errorf("DecodeRequest(%s): code %q (%v), want %q", tt.line, got, err, tt.code)
			}
		})
	}
}

// codeOf gives the code that an error is answered with, "" for nil.
func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return AsError(err).Code
}

func TestDecodeRequestKeepsNumber(t *testing.T) {
	r, err := DecodeRequest([]byte(`{"n":7,"op":"dance"}`))
	if err == nil || r.N != 7 {
		t.Errorf("n = %d, error %v, want 7 and an error", r.N, err)
	}
}

func FuzzDecodeRequest(f *testing.F) {
	f.Add([]byte(`{"n":1,"op":"register","registration":{"id":"web","cgroup":{"unified":"/c/web"},"init_pid":4711,"container":{"engine":"docker","id":"3f","name":"web"},"choices":{"swap":"none","files":"-meminfo"},"owned":true}}`))
	f.Add([]byte(`{"n":2,"op":"unregister","id":"web"}`))
	f.Add([]byte(`{"n":3,"op":"list","after":"web"}`))
	f.Add([]byte(`{"op":"explain","explain":{"id":"web","file":"proc/meminfo","snapshot":7,"offset":9}}`))
	f.Add([]byte(`{"op":"list"} {`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := DecodeRequest(line)
		if err != nil {
			if e := AsError(err); e.Code != CodeMalformed && e.Code != CodeInvalid {
				t.Fatalf("code %q for a bad line: %v", e.Code, err)
			}
			if _, err := EncodeLine(Answer{N: r.N, Error: AsError(err)}); err != nil {
				t.Fatalf("the error can't be answered: %v", err)
			}
			return
		}
		again, err := EncodeLine(r)
		if err != nil {
			if len(line) < MaxLine/8 {
				t.Fatalf("what was understood can't be written: %v", err)
			}
			return // escapes may make it longer than a line
		}
		back, err := DecodeRequest(again)
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		twice, err := EncodeLine(back)
		if err != nil || !bytes.Equal(again, twice) {
			t.Fatalf("encoded %s, decoded and encoded again %s (%v)", again, twice, err)
		}
	})
}

func FuzzDecodeAnswer(f *testing.F) {
	f.Add([]byte(`{"n":1,"registered":{"dir":"/run/x/bound/web","files":["proc/meminfo"]}}`))
	f.Add([]byte(`{"n":4,"error":{"code":"malformed","message":"no"}}`))
	f.Add([]byte(`{"n":3,"containers":[{"id":"web","init_pid":1,"registered_at":"2026-01-02T03:04:05Z"}],"more":true}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if a, err := DecodeAnswer(line); err == nil {
			if _, err := json.Marshal(a); err != nil {
				t.Fatalf("what was understood can't be written: %v", err)
			}
		}
	})
}

func TestPage(t *testing.T) {
	var all []Status
	for i := range 1000 {
		all = append(all, Status{ID: fmt.Sprintf("container-%04d", i), Dir: strings.Repeat("d", 100)})
	}
	var got []Status
	for rounds := 0; ; rounds++ {
		if rounds > 100 {
			t.Fatal("no end")
		}
		fitting, more, err := Page(all[len(got):])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := EncodeLine(Answer{Containers: fitting, More: more}); err != nil {
			t.Fatal(err)
		}
		got = append(got, fitting...)
		if !more {
			break
		}
	}
	if len(got) != len(all) || got[999].ID != all[999].ID {
		t.Errorf("%d of %d containers came", len(got), len(all))
	}
}

func TestLineReader(t *testing.T) {
	long := strings.Repeat("x", MaxLine-1)
	for _, tt := range []struct {
		name, in string
		want     []string
		err      error
	}{
		{"none", "", nil, io.EOF},
		{"one", "a\n", []string{"a"}, io.EOF},
		{"some", "a\n\nbc\n", []string{"a", "", "bc"}, io.EOF},
		{"unended", "a\nb", []string{"a"}, io.EOF},
		{"longest", long + "\nb\n", []string{long, "b"}, io.EOF},
		{"too long", "a\n" + long + "x\nb\n", []string{"a"}, ErrLineTooLong},
	} {
		for how, wrap := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "error with data": iotest.DataErrReader,
		} {
			t.Run(tt.name+", "+how, func(t *testing.T) {
				l := LineReader{R: wrap(strings.NewReader(tt.in))}
				var got []string
				for {
					line, err := l.Read()
					if err != nil {
						if !errors.Is(err, tt.err) {
							t.Errorf("error %v, want %v", err, tt.err)
						}
						break
					}
					got = append(got, string(line))
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("lines (-want +got):\n%.500s", diff)
				}
			})
		}
	}
}

// TestLineReaderResumes: a deadline in the middle of a line loses nothing.
func TestLineReaderResumes(t *testing.T) {
	l := LineReader{R: io.MultiReader(strings.NewReader("ab"), iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("cd\n"))))}
	if line, err := l.Read(); !errors.Is(err, iotest.ErrTimeout) {
		t.Fatalf("first: %q, %v; want a timeout", line, err)
	}
	if line, err := l.Read(); err != nil || string(line) != "abcd" {
		t.Errorf("second: %q, %v; want abcd", line, err)
	}
}

func TestErrorText(t *testing.T) {
	err := fmt.Errorf("register web: %w", Errorf(CodeGone, "init %v", os.ErrNotExist))
	if e := AsError(err); e.Code != CodeGone || e.Message != "register web: init file does not exist" {
		t.Errorf("AsError gives %+v", *e)
	}
	if e := AsError(os.ErrNotExist); e.Code != CodeInternal {
		t.Errorf("an error without code is %q", e.Code)
	}
}
