// SPDX-License-Identifier: Apache-2.0

package mounts

import (
	"errors"
	"fmt"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// attributes are per-mount attributes to set and to clear, MOUNT_ATTR_….
type attributes struct{ set, clear uint64 }

func (a *attributes) apply(w attributes) {
	a.set = a.set&^w.clear | w.set
	a.clear = a.clear&^w.set | w.clear
}

func (a *attributes) none() bool { return *a == attributes{} }

// options is what the words of a mount's option list come to.
type options struct {
	bind, recursive bool       // bind or rbind
	attrs           attributes // of the mount itself
	below           attributes // of the mount and all below it (rro, rnosuid …)
	// propagation is MS_PRIVATE, MS_SLAVE, MS_SHARED or MS_UNBINDABLE, with
	// MS_REC for the r… words; 0 when no word says it.
	propagation uint64
	data        []string // for the file system: key or key=value
}

// The words that set or clear attributes. Any of them with an r in front is
// recursive. relatime, the kernel's default, is 0, so that words about access
// times clear one another's bits.
//
//nolint:gochecknoglobals // a constant table
var attributeWords = map[string]attributes{
	"ro":            {set: unix.MOUNT_ATTR_RDONLY},
	"rw":            {clear: unix.MOUNT_ATTR_RDONLY},
	"nosuid":        {set: unix.MOUNT_ATTR_NOSUID},
	"suid":          {clear: unix.MOUNT_ATTR_NOSUID},
	"nodev":         {set: unix.MOUNT_ATTR_NODEV},
	"dev":           {clear: unix.MOUNT_ATTR_NODEV},
	"noexec":        {set: unix.MOUNT_ATTR_NOEXEC},
	"exec":          {clear: unix.MOUNT_ATTR_NOEXEC},
	"nodiratime":    {set: unix.MOUNT_ATTR_NODIRATIME},
	"diratime":      {clear: unix.MOUNT_ATTR_NODIRATIME},
	"nosymfollow":   {set: unix.MOUNT_ATTR_NOSYMFOLLOW},
	"symfollow":     {clear: unix.MOUNT_ATTR_NOSYMFOLLOW},
	"noatime":       {set: unix.MOUNT_ATTR_NOATIME, clear: unix.MOUNT_ATTR__ATIME &^ unix.MOUNT_ATTR_NOATIME},
	"strictatime":   {set: unix.MOUNT_ATTR_STRICTATIME, clear: unix.MOUNT_ATTR__ATIME &^ unix.MOUNT_ATTR_STRICTATIME},
	"relatime":      {clear: unix.MOUNT_ATTR__ATIME},
	"atime":         {clear: unix.MOUNT_ATTR_NOATIME},
	"nostrictatime": {clear: unix.MOUNT_ATTR_STRICTATIME},
	"norelatime":    {},
}

// The words of a mount's propagation, mount(2).
//
//nolint:gochecknoglobals // a constant table
var propagationWords = map[string]uint64{
	"private":     unix.MS_PRIVATE,
	"rprivate":    unix.MS_PRIVATE | unix.MS_REC,
	"slave":       unix.MS_SLAVE,
	"rslave":      unix.MS_SLAVE | unix.MS_REC,
	"shared":      unix.MS_SHARED,
	"rshared":     unix.MS_SHARED | unix.MS_REC,
	"unbindable":  unix.MS_UNBINDABLE,
	"runbindable": unix.MS_UNBINDABLE | unix.MS_REC,
}

// Words that say what is so anyway, or concern the mount(8) program.
//
//nolint:gochecknoglobals // a constant table
var idleWords = map[string]bool{
	"defaults": true, "async": true, "silent": true, "loud": true, "nomand": true, "mand": true,
	"nolazytime": true, "noiversion": true, "auto": true, "noauto": true, "user": true, "nouser": true, "_netdev": true,
}

// Words of the specification that need more than an attribute.
//
//nolint:gochecknoglobals // a constant table
var refusedWords = map[string]string{
	"idmap":     "id-mapped mounts are not supported",
	"ridmap":    "id-mapped mounts are not supported",
	"tmpcopyup": "copying what lies below into a tmpfs is not supported",
	"remount":   "there is nothing to remount yet",
}

// parseOptions reads m's option list. Later words win over earlier ones. Words
// that it doesn't know are the file system's.
func parseOptions(m specs.Mount) (options, error) {
	o := options{bind: m.Type == "bind"}
	if len(m.UIDMappings)+len(m.GIDMappings) > 0 {
		return o, errors.New(refusedWords["idmap"])
	}
	for _, word := range m.Options {
		if strings.ContainsRune(word, 0) {
			return o, fmt.Errorf("option %q: contains a zero byte", word)
		}
		if why, refused := refusedWords[word]; refused {
			return o, fmt.Errorf("option %q: %s", word, why)
		}
		if flag, ok := propagationWords[word]; ok {
			o.propagation = flag
			continue
		}
		if a, ok := attributeWords[word]; ok {
			o.attrs.apply(a)
			continue
		}
		if plain, ok := strings.CutPrefix(word, "r"); ok {
			if a, ok := attributeWords[plain]; ok {
				o.below.apply(a)
				continue
			}
		}
		switch {
		case word == "bind":
			o.bind, o.recursive = true, false
		case word == "rbind":
			o.bind, o.recursive = true, true
		case idleWords[word], word == "":
		default:
			o.data = append(o.data, word)
		}
	}
	return o, nil
}

// CheckOptions says what is wrong with the options of a config's mount, before
// anything is made.
func CheckOptions(m specs.Mount) error {
	o, err := parseOptions(m)
	if err != nil {
		return fmt.Errorf("mount %s: %w", m.Destination, err)
	}
	if o.bind && m.Source == "" {
		return fmt.Errorf("mount %s: a bind mount needs a source", m.Destination)
	}
	if !o.bind && m.Type == "" {
		return fmt.Errorf("mount %s: no file system type", m.Destination)
	}
	return nil
}

// CheckPropagation says whether word is a rootfsPropagation.
func CheckPropagation(word string) error {
	if _, ok := propagationWords[word]; !ok && word != "" {
		return fmt.Errorf("rootfsPropagation: %q is none of private, slave, shared, unbindable, or one of them with r in front", word)
	}
	return nil
}
