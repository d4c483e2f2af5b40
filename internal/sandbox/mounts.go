package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// mountPlan is what the helper does to its own view of the file system.
type mountPlan struct {
	Pinned   []raw // cannot be renamed away
	Frozen   []raw // no new entries; those that are there stay as they are, but for Hidden
	Writable []raw // stay writable within ReadOnly
	ReadOnly []raw
	Readable []raw // read-only, and seen even within Hidden
	Hidden   []raw
}

// mounts plans the view of a profile.
func (r rules) mounts(p Profile) mountPlan {
	var m mountPlan
	exists := func(path string) bool {
		_, err := os.Lstat(path)
		return err == nil
	}
	for _, path := range r.config.Protected {
		if !exists(path) {
			if dir := nearest(path); !slices.Contains(m.Frozen, raw(dir)) {
				m.Frozen = append(m.Frozen, raw(dir))
			}
			continue
		}
		if r.loose(path) {
			m.Pinned = appendNew(m.Pinned, ancestors(path)...)
		}
		m.Hidden = append(m.Hidden, raw(path))
	}
	for _, path := range sockets {
		if place, err := resolve(path); err == nil && exists(place) {
			m.Hidden = append(m.Hidden, raw(place))
		}
	}
	tmux, _ := filepath.Glob("/tmp/tmux-*") // the pattern is good
	for _, path := range tmux {
		m.Hidden = append(m.Hidden, raw(path))
	}
	if p == Tool {
		m.Hidden = appendNew(m.Hidden, r.unseen()...)
		return m
	}
	for _, path := range r.config.Readable {
		if exists(path) {
			m.Readable = append(m.Readable, raw(path))
		}
	}
	for _, path := range r.config.Writable {
		if exists(path) {
			m.Writable = append(m.Writable, raw(path))
		}
	}
	uid := uint32(os.Geteuid())
	for _, path := range slices.Concat(r.launch, r.hooks) {
		// Without capabilities only an owner changes modes and times.
		var st unix.Stat_t
		if unix.Lstat(path, &st) == nil && (st.Uid == uid || uid == 0) {
			m.ReadOnly = append(m.ReadOnly, raw(path))
		}
	}
	return m
}

// unseen are the top directories that a tool has no business in.
func (r rules) unseen() []raw {
	entries, err := os.ReadDir("/")
	if err != nil {
		return nil // Landlock grants none of them
	}
	var out []raw
	for _, e := range entries {
		path := "/" + e.Name()
		seen := func(q string) bool { return within(q, path) }
		if e.IsDir() && path != "/tmp" && !slices.ContainsFunc(toolReads, seen) && !slices.Contains(kernelTrees, path) {
			out = append(out, raw(path))
		}
	}
	if slices.ContainsFunc(toolReads, func(q string) bool { return within(r.config.Home, q) }) {
		out = append(out, raw(r.config.Home))
	}
	return out
}

// nearest is the closest ancestor of path that exists.
func nearest(path string) string {
	for path != "/" {
		path = filepath.Dir(path)
		if _, err := os.Lstat(path); err == nil {
			return path
		}
	}
	return path
}

// ancestors are the directories above path, up to a temporary one.
func ancestors(path string) []raw {
	var out []raw
	for dir := filepath.Dir(path); dir != "/" && !slices.Contains(temporary, dir); dir = filepath.Dir(dir) {
		out = append(out, raw(dir))
	}
	slices.Reverse(out) // outermost first
	return out
}

func appendNew(to []raw, add ...raw) []raw {
	for _, a := range add {
		if !slices.Contains(to, a) {
			to = append(to, a)
		}
	}
	return to
}

const (
	quiet     = unix.MS_NOSUID | unix.MS_NODEV
	coverSize = "size=64k,nr_inodes=16,mode=0555"
	coverFile = "/dev/shm/.phantom-cover"
)

// detach gives the helper, who is process 1 of its namespaces, mounts of its
// own and the process table of its namespace.
func detach() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("detach from the machine's mounts: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", quiet|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc of the new namespace: %w", err)
	}
	return nil
}

// apply changes the helper's view, before anything else is started in it.
func (m mountPlan) apply(p Profile, l Limits) error {
	for _, step := range []func() error{m.pin, m.freeze, m.lock} {
		if err := step(); err != nil {
			return err
		}
	}
	if p == Tool {
		if err := setReadOnly("/", unix.AT_RECURSIVE); err != nil {
			return err
		}
	}
	// Files in memory count as nobody's resident memory, so they have a bound.
	size := "mode=1777,size=" + strconv.FormatInt(l.Memory/4, 10)
	scratch := []string{"/dev/shm"}
	if p == Tool {
		scratch = append(scratch, toolHome)
	}
	for _, dir := range scratch {
		if err := unix.Mount("tmpfs", dir, "tmpfs", quiet, size); err != nil {
			return fmt.Errorf("mount a private %s: %w", dir, err)
		}
	}
	if err := m.cover(); err != nil {
		return err
	}
	return closeKernelTrees()
}

// pin makes directories mount points: those cannot be renamed.
func (m mountPlan) pin() error {
	for _, path := range m.Pinned {
		if err := bind(string(path), string(path)); err != nil {
			return err
		}
	}
	return nil
}

// freeze lets nobody create entries beside those that are there.
func (m mountPlan) freeze() error {
	for _, frozen := range m.Frozen {
		dir := string(frozen)
		entries, err := os.ReadDir(dir)
		if err != nil {
			return fmt.Errorf("list %s: %w", dir, err)
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			if e.Type()&os.ModeSymlink != 0 {
				continue
			}
			if err := bind(path, path); err != nil {
				return err
			}
		}
		if err := bind(dir, dir); err != nil {
			return err
		}
		if err := setReadOnly(dir, 0); err != nil {
			return err
		}
	}
	return nil
}

// lock makes the launch points read-only, but for what was granted in them.
func (m mountPlan) lock() error {
	for _, path := range m.Writable {
		if err := bind(string(path), string(path)); err != nil {
			return err
		}
	}
	for _, path := range m.ReadOnly {
		if err := bind(string(path), string(path)); err != nil {
			return err
		}
		if err := setReadOnly(string(path), 0); err != nil {
			return err
		}
	}
	return nil
}

// cover hides places: a directory under an empty one, a file or socket under
// an empty file that even its owner cannot open. Readable places within are
// held open meanwhile and put back.
func (m mountPlan) cover() error {
	f, err := os.OpenFile(coverFile, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0)
	if err != nil {
		return fmt.Errorf("make the cover: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("make the cover: %w", err)
	}
	// The cover stays: the kernel does not let go of a file that is mounted
	// elsewhere. Mounted on itself it can be neither written nor removed.
	if err := bind(coverFile, coverFile); err != nil {
		return err
	}
	if err := setReadOnly(coverFile, 0); err != nil {
		return err
	}
	held := make([]int, len(m.Readable))
	for i, path := range m.Readable {
		if held[i], err = unix.OpenTree(unix.AT_FDCWD, string(path), unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE); err != nil {
			return fmt.Errorf("hold %s: %w", string(path), err)
		}
		defer unix.Close(held[i])
	}
	for _, hidden := range m.Hidden {
		if err := coverOne(string(hidden)); err != nil {
			return err
		}
	}
	for i, readable := range m.Readable {
		path := string(readable)
		if _, err := os.Lstat(path); err != nil {
			continue // its parent is hidden: it stays unseen
		}
		if err := unix.MoveMount(held[i], "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			return fmt.Errorf("put back %s: %w", path, err)
		}
		if err := setReadOnly(path, unix.AT_RECURSIVE); err != nil {
			return err
		}
	}
	return nil
}

func coverOne(path string) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES) {
			return nil // beneath another cover, or out of reach
		}
		return fmt.Errorf("hide %s: %w", path, err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		if err := unix.Mount("tmpfs", path, "tmpfs", quiet|unix.MS_NOEXEC|unix.MS_RDONLY, coverSize); err != nil {
			return fmt.Errorf("hide %s: %w", path, err)
		}
		return nil
	case unix.S_IFLNK:
		return nil // where it leads is judged on its own
	default:
		if err := bind(coverFile, path); err != nil {
			return err
		}
		return setReadOnly(path, 0)
	}
}

// closeKernelTrees keeps modes, settings and triggers of the kernel as they are.
func closeKernelTrees() error {
	if err := setReadOnly("/sys", unix.AT_RECURSIVE); err != nil {
		return err
	}
	for _, path := range []string{"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/acpi", "/proc/scsi"} {
		if _, err := os.Lstat(path); err != nil {
			continue
		}
		if err := bind(path, path); err != nil {
			return err
		}
		if err := setReadOnly(path, 0); err != nil {
			return err
		}
	}
	return setReadOnly("/dev", 0)
}

func bind(from, to string) error {
	if err := unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s: %w", to, err)
	}
	return nil
}

func setReadOnly(path string, flags uint) error {
	if err := unix.MountSetattr(unix.AT_FDCWD, path, flags, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
		return fmt.Errorf("make %s read-only: %w", path, err)
	}
	return nil
}
