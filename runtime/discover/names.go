// SPDX-License-Identifier: Apache-2.0

package discover

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"
)

const (
	// maxState bounds what is read of an engine's state: a host with 10,000
	// containers has a containers.json of some 10 MB.
	maxState = 64 << 20
	// apiPatience bounds a dockerd that doesn't answer; names are a convenience.
	apiPatience = 2 * time.Second
)

// nameAll gives containers the names that their users know them by. What can't
// be read leaves a container without: it is found by its ID all the same.
func (f *Finder) nameAll(all []Container) {
	var docker []*Container
	var stored map[string]string
	for i := range all {
		switch c := &all[i]; c.Engine {
		case Docker:
			if c.Name = f.dockerName(c.ID); c.Name == "" {
				docker = append(docker, c)
			}
		case Podman, CRIO:
			if stored == nil {
				stored = f.storageNames()
			}
			c.Name = stored[c.ID]
		case LXC: // has it already
		default:
			c.Name = c.ID
		}
	}
	for _, socket := range f.roots.DockerSockets {
		if len(docker) == 0 {
			break
		}
		names, err := askDocker(socket)
		if err != nil {
			continue
		}
		for _, c := range docker {
			if c.Name == "" {
				c.Name = names[c.ID]
			}
		}
	}
}

// dockerName reads DATAROOT/containers/ID/config.v2.json.
func (f *Finder) dockerName(id string) string {
	for _, root := range f.roots.Docker {
		var config struct{ Name string }
		if readJSON(filepath.Join(root, "containers", id, "config.v2.json"), &config) == nil && config.Name != "" {
			return printable(strings.TrimPrefix(config.Name, "/"))
		}
	}
	return ""
}

// storageNames reads the containers.json of each storage root's drivers
// (overlay-containers and so on): ID to first name. Roots that come first win.
func (f *Finder) storageNames() map[string]string {
	all := map[string]string{}
	for _, root := range f.roots.Storage {
		for _, dir := range names(root) {
			if !strings.HasSuffix(dir, "-containers") {
				continue
			}
			var list []struct {
				ID    string   `json:"id"`
				Names []string `json:"names"`
			}
			if readJSON(filepath.Join(root, dir, "containers.json"), &list) != nil {
				continue
			}
			for _, c := range list {
				if _, ok := all[c.ID]; !ok && len(c.Names) > 0 {
					all[c.ID] = printable(c.Names[0])
				}
			}
		}
	}
	return all
}

// readJSON reads a regular file of an engine, also while that writes it anew.
func readJSON(path string, into any) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxState {
		return fmt.Errorf("read state: %s: %d bytes: not a regular file of at most %d bytes", path, info.Size(), maxState)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read state: %s: %w", path, err)
	}
	return nil
}

// askDocker lists a dockerd's running containers: ID to name. The one request
// is HTTP/1.0, whose answer ends with the connection; net/http would cost every
// start of the program more than it does for us.
func askDocker(socket string) (map[string]string, error) {
	conn, err := net.DialTimeout("unix", socket, apiPatience)
	if err != nil {
		return nil, fmt.Errorf("ask docker: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(apiPatience)); err != nil {
		return nil, fmt.Errorf("ask docker: %w", err)
	}
	if _, err := io.WriteString(conn, "GET /containers/json HTTP/1.0\r\nHost: docker\r\n\r\n"); err != nil {
		return nil, fmt.Errorf("ask docker: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(conn, maxState))
	if err != nil {
		return nil, fmt.Errorf("ask docker: %s: %w", socket, err)
	}
	head, body, ok := bytes.Cut(text, []byte("\r\n\r\n"))
	status, _, _ := bytes.Cut(head, []byte("\r\n"))
	if fields := bytes.Fields(status); !ok || len(fields) < 2 || string(fields[1]) != "200" {
		return nil, fmt.Errorf("ask docker: %s: %w", socket, errors.New("answer: "+fmt.Sprintf("%.80q", status)))
	}
	var list []struct {
		ID    string `json:"Id"`
		Names []string
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("ask docker: %s: %w", socket, err)
	}
	names := map[string]string{}
	for _, c := range list {
		if len(c.Names) > 0 {
			names[c.ID] = printable(strings.TrimPrefix(c.Names[0], "/"))
		}
	}
	return names, nil
}

// printable is s, or "" if it would do things to a terminal.
func printable(s string) string {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return ""
		}
	}
	return s
}
