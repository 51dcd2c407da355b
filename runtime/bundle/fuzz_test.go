// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"path"
	"strings"
	"testing"
)

// FuzzFlags feeds one text to every parser of a flag. What is accepted has the
// form that the rest of the program builds on.
func FuzzFlags(f *testing.F) {
	for _, seed := range []string{
		"/var:/vol:ro", "./x:/y:rslave,ro", ":", "::", "/a:/proc/self/../../b", "/a\x00:/b", "/scratch:size=10%,mode=1777,exec",
		"/dev/disk/by-path/pci-0000:00:1f.2:1mb", "/dev/sda:100", "A=b=c", "=", "FROM_CALLER", "512m", "1.5", "-1",
		"9223372036854775807", "1e400g", "0x10", "0-3,8", "user:group", "ALL", "no-new-privileges:true", "é",
	} {
		f.Add(seed)
	}
	host := Host{Workdir: "/w", LookupEnv: func(string) (string, bool) { return "", false }}
	f.Fuzz(func(t *testing.T, text string) {
		if m, err := parseVolume(text, host); err == nil {
			checkDestination(t, m.Destination)
			if !path.IsAbs(m.Source) || strings.ContainsRune(m.Source, 0) || m.Options[0] != "rbind" {
				t.Errorf("parseVolume(%q) = %+v", text, m)
			}
		}
		if m, err := parseTmpfs(text); err == nil {
			checkDestination(t, m.Destination)
			for _, o := range m.Options {
				if o == "" || strings.ContainsAny(o, ",\x00\n ") {
					t.Errorf("parseTmpfs(%q) has option %q", text, o)
				}
			}
		}
		if device, _, err := parseThrottle(text, bytesRate); err == nil && !strings.HasPrefix(device, "/dev/") {
			t.Errorf("parseThrottle(%q) = %q", text, device)
		}
		if device, rate, err := parseThrottle(text, countRate); err == nil && (path.Clean(device) != device || rate > 1<<32-1) {
			t.Errorf("parseThrottle(%q) = %q, %d", text, device, rate)
		}
		if name, _, _, err := parseEnv(text, host.LookupEnv); err == nil && (name == "" || strings.ContainsAny(name, "=\x00")) {
			t.Errorf("parseEnv(%q) has name %q", text, name)
		}
		if n, err := bytesOf("--memory", text); err == nil && n < 0 {
			t.Errorf("bytesOf(%q) = %d", text, n)
		}
		if r, err := decimal(text); err == nil && r.Sign() < 0 {
			t.Errorf("decimal(%q) = %s", text, r)
		}
		if validName(text) && (strings.ContainsAny(text, "/\x00") || text == "." || text == "..") {
			t.Errorf("validName(%q)", text)
		}
		o := Options{User: text, SecurityOpt: []string{text}, CapAdd: []string{text}, Hostname: text}
		_ = o.checkUser()
		_, _ = o.security()
		_, _ = o.capabilities(host)
		_, _ = o.hostname(host)
	})
}

func checkDestination(t *testing.T, d string) {
	t.Helper()
	if !path.IsAbs(d) || path.Clean(d) != d || d == "/" || d == "/proc" || strings.HasPrefix(d, "/proc/") || strings.ContainsRune(d, 0) {
		t.Errorf("destination %q", d)
	}
}
