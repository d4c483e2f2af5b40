package policy

import (
	"path/filepath"
	"slices"
	"strings"

	"phantom/internal/policy/landmark"
	"phantom/internal/policy/place"
	"phantom/internal/policy/program"
	"phantom/internal/policy/shell"
)

const saferDelete = "name the exact files or directories inside the workspace"

// removed returns what a call deletes with all below it, and the single files
// it deletes.
func (c *call) removed() (trees, files []string) {
	switch c.name {
	case "rm", "grm", "srm", "trash", "gio", "rimraf", "wipe":
		o := c.opts("")
		if c.name == "gio" && !landmark.Starts(o.Operands, "trash|remove") {
			return nil, nil
		}
		if c.name == "rimraf" || c.name == "wipe" || c.name == "gio" || o.Has("r", "R", "recursive") {
			return o.Operands, nil
		}
		return nil, o.Operands
	case "npx", "bunx", "npm", "pnpm", "yarn":
		w := c.words()
		if landmark.Starts(w, "exec|dlx|x") {
			w = w[1:]
		}
		if landmark.Starts(w, "rimraf|del-cli|trash-cli") {
			return w[1:], nil
		}
	case "unlink", "rmdir":
		return nil, c.words()
	case "mv", "gmv":
		o := c.opts("tS", "target-directory", "suffix")
		if _, ok := o.Value("t", "target-directory"); ok || len(o.Operands) < 2 {
			return o.Operands, nil
		}
		// A name that only the run knows is an ordinary thing to move.
		return slices.DeleteFunc(slices.Clone(o.Operands[:len(o.Operands)-1]), func(a string) bool { return unknown([]string{a}) && strings.Trim(a, "/"+shell.Unknown) == "" }), nil
	case "rsync":
		o := c.opts("efT", "rsh", "exclude", "include", "filter", "files-from", "rsync-path")
		if c.deletes() && len(o.Operands) > 1 && !strings.Contains(o.Operands[len(o.Operands)-1], ":") {
			return o.Operands[len(o.Operands)-1:], nil
		}
		if c.has("--remove-source-files") && len(o.Operands) > 1 {
			return o.Operands[:len(o.Operands)-1], nil
		}
	case "tar", "gtar", "bsdtar":
		if c.has("--remove-files") {
			return c.opts("fCITXbgKNVLHF", "file", "directory", "exclude").Operands, nil
		}
	case "zip":
		o := c.opts("bntxi")
		if o.Has("m", "move") && len(o.Operands) > 1 {
			return o.Operands[1:], nil
		}
	case "7z", "7za", "7zr", "rar":
		if w := c.words(); c.has("-sdel", "-df", "-dr", "-dw") && len(w) > 2 {
			return w[2:], nil
		}
	case "robocopy", "find", "gfind":
		return c.found()
	}
	return nil, nil
}

func (c *call) deletes() bool {
	return slices.ContainsFunc(c.args(), func(a string) bool { return strings.HasPrefix(a, "--del") })
}

// found returns the roots of a find that deletes: as trees where nothing or
// only a system place limits it.
func (c *call) found() (trees, files []string) {
	if !c.has("-delete") && !c.removesFound() {
		return nil, nil
	}
	var roots, names []string
	limited := false
	for i, a := range c.args() {
		if strings.HasPrefix(a, "-") || a == "(" || a == "!" {
			rest := c.args()[i:]
			limited = anyAt(rest, func(j int) bool {
				w := rest[j]
				// A name that is left out limits nothing.
				return (j == 0 && i == 0 || !slices.Contains([]string{"!", "-not"}, c.args()[max(0, i+j-1)])) && slices.Contains([]string{"-name", "-iname", "-path", "-ipath", "-wholename", "-regex", "-iregex", "-mtime", "-mmin", "-atime", "-amin", "-ctime", "-cmin", "-newer", "-size", "-empty", "-xtype", "-lname", "-perm", "-user"}, w)
			}) && !slices.Contains(rest, "-o") && !slices.Contains(rest, "-or")
			for j, w := range rest {
				if (w == "-name" || w == "-iname") && j+1 < len(rest) {
					names = append(names, rest[j+1])
				}
				if (w == "-name" || w == "-iname" || w == "-path") && j+1 < len(rest) && landmark.Wild(rest[j+1]) {
					limited = false
				}
			}
			break
		}
		roots = append(roots, a)
	}
	if len(roots) == 0 {
		roots = []string{"."}
	}
	for _, r := range roots {
		if limited && c.place(r) <= place.Outside {
			files = append(files, r)
			continue
		}
		trees = append(trees, r)
	}
	for _, n := range names {
		if landmark.LogFile(n) {
			files = append(files, n)
		}
	}
	return trees, files
}

// removesFound reports whether a search hands what it finds to a program that
// deletes files.
func (c *call) removesFound() bool {
	args := c.args()
	return anyAt(args, func(i int) bool {
		return slices.Contains([]string{"-exec", "-execdir", "-ok", "-okdir"}, args[i]) && i+1 < len(args) &&
			slices.Contains([]string{"rm", "grm", "unlink", "shred", "srm", "wipe", "trash"}, filepath.Base(args[i+1]))
	})
}

func anyAt(list []string, match func(int) bool) bool {
	for i := range list {
		if match(i) {
			return true
		}
	}
	return false
}

// place is hits for a search that only takes some of what lies below: the
// workspace and its like are then no worse than any directory.
func (c *call) place(arg string) place.Harm {
	at := c.hits(arg)
	if path := c.abs(arg); at == place.Root && path != "" && landmark.Under(c.p.cfg.Workspace, path) {
		return place.Free
	}
	return at
}

func (c *call) worst(paths []string) place.Harm {
	worst := place.Free
	for _, p := range paths {
		worst = max(worst, c.hits(p))
	}
	return worst
}

func deleteRules() []rule {
	const names = "rm grm srm trash gio rimraf wipe npx bunx npm pnpm yarn unlink rmdir mv gmv rsync find gfind tar gtar bsdtar zip 7z 7za 7zr rar"
	const family = "recursive-delete"
	return []rule{
		{id: "delete-root", family: family, severity: critical, programs: names, reason: "deletes or moves away the system's root, a home, the workspace as a whole, or a place that only the run decides", suggestion: saferDelete, match: func(c *call) bool {
			trees, _ := c.removed()
			return !c.asksHelp() && c.worst(trees) >= place.Root
		}},
		{id: "delete-system", family: family, severity: destructive, programs: names, reason: "deletes or moves away a tree of the system or of somebody else", suggestion: saferDelete, match: func(c *call) bool {
			trees, files := c.removed()
			if c.name == "mv" || c.name == "gmv" {
				return c.worst(trees) == place.System
			}
			if w := c.worst(trees); w == place.System || w == place.Outside {
				return true
			}
			for _, f := range files {
				if r := c.hits(f); r == place.System || r == place.Root && c.name != "rmdir" && !c.insideWorkspace(f) {
					return true
				}
			}
			return false
		}},
		{id: "overwrite-system", family: family, severity: destructive, programs: "", reason: "writes to a file of the system", suggestion: "write inside the workspace", match: func(c *call) bool {
			for _, w := range c.written() {
				if path := c.abs(w); path != "" && !c.Remote && c.systemFile(path) {
					return true
				}
			}
			return false
		}},
	}
}

// insideWorkspace reports whether a path with wildcards names files of the
// workspace, or the workspace itself, which a deletion of files cannot take.
func (c *call) insideWorkspace(arg string) bool {
	path := c.abs(arg)
	return path == "" || landmark.Under(c.p.cfg.Workspace, strings.ReplaceAll(path, shell.Unknown, "x"))
}

// written returns the paths that a call creates or overwrites.
func (c *call) written() []string {
	out := slices.Clone(c.Writes)
	switch c.name {
	case "tee", "sponge", "truncate", "touch":
		out = append(out, c.opts("sr", "size", "reference").Operands...)
	case "cp", "mv", "install", "ln", "gcp", "gmv", "rsync":
		short := "tSmog"
		if c.name == "rsync" {
			short = "efT"
		}
		o := c.opts(short, "target-directory", "suffix", "mode", "owner", "group", "exclude", "rsh", "include", "filter")
		if t, ok := o.Value("t", "target-directory"); ok {
			out = append(out, t)
		} else if n := len(o.Operands); n > 1 && !strings.Contains(o.Operands[n-1], ":") {
			out = append(out, o.Operands[n-1])
		}
	case "dd", "dcfldd", "dc3dd", "sdd":
		for _, a := range c.args() {
			if key, v, ok := strings.Cut(a, "="); ok && slices.Contains([]string{"of", "hof", "ofs", "wipe", "hwipe"}, key) {
				out = append(out, v)
			}
		}
	case "ddrescue", "dd_rescue", "bmaptool", "qemu-img", "nbdcopy":
		w := c.opts("bcdimnKorsOfSt").Operands
		if c.name == "ddrescue" || c.name == "dd_rescue" {
			w = c.opts("bcimrsKLEQTX").Operands
			w = w[:min(2, len(w))]
		}
		if len(w) > 1 && !landmark.Starts(w, "info|check|map|measure|create|compare") {
			out = append(out, w[len(w)-1])
		}
	case "pv", "sort", "xorriso", "wodim", "cdrecord", "genisoimage", "mkisofs", "age", "zstd":
		out = append(out, c.opts("oLNRsSi", "output", "out").Values("o", "output", "out")...)
	case "sed", "gsed", "perl", "ruby":
		if len(c.Argv) > 1 && slices.ContainsFunc(c.args(), func(a string) bool {
			return strings.HasPrefix(a, "--in-place") || strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "--") && strings.Contains(a, "i")
		}) {
			out = append(out, c.words()...)
		}
	case "curl", "aria2c":
		if v, ok := c.opts("oHdXuAeTFbcm", "output").Value("o", "output"); ok {
			out = append(out, v)
		}
	case "wget":
		if v, ok := c.opts("OPoe", "output-document").Value("O", "output-document"); ok {
			out = append(out, v)
		}
	case "ed", "ex", "vi", "vim", "nvim", "nano", "emacs":
		out = append(out, c.words()...)
	case "find", "gfind":
		for i, a := range c.args() {
			if slices.Contains([]string{"-fprint", "-fprintf", "-fprint0", "-fls"}, a) && i+1 < len(c.args()) {
				out = append(out, c.args()[i+1])
			}
		}
	case "shred":
		out = append(out, c.opts("ns", "iterations", "size").Operands...)
	}
	return append(out, c.use().Outputs()...)
}

// systemFile reports whether writing path changes the system.
func (c *call) systemFile(path string) bool {
	for _, open := range []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/stdout", "/dev/stderr", "/dev/tty", "/dev/fd", "/dev/shm", "/dev/tcp", "/dev/udp", "/tmp", "/var/tmp", "/proc/self/fd", "/dev/pts", "/var/backups"} {
		if landmark.Under(open, path) {
			return false
		}
	}
	for _, g := range c.p.cfg.Grants {
		if g.Write && landmark.Under(g.Path, path) {
			return false
		}
	}
	if c.p.places.Place(path) == place.System || c.p.places.Resolved(path) == place.System {
		return true
	}
	elems := strings.Split(path, "/")
	return len(elems) > 2 && slices.Contains(landmark.SystemTops()[:14], elems[1]) && c.p.places.Place(path) == place.Root
}

func diskRules() []rule {
	const why = "a file system tool destroys what is on the device"
	const ask = "ask the owner to do this by hand"
	tool := func(id, programs string, match func(*call) bool) rule {
		return rule{id: id, family: "filesystem", severity: critical, programs: programs, reason: why, suggestion: ask, match: match}
	}
	return []rule{
		{id: "make-filesystem", family: "filesystem", severity: critical, reason: why, suggestion: ask, match: func(c *call) bool {
			made := strings.HasPrefix(c.name, "mkfs") || strings.HasPrefix(c.name, "newfs") || slices.Contains([]string{"mke2fs", "mkswap", "mkdosfs", "mkntfs", "mkreiserfs", "make-bcache"}, c.name)
			return made && len(c.Argv) > 1 && !c.asksHelp() && !c.image()
		}},
		tool("partition", "fdisk sfdisk cfdisk gdisk sgdisk cgdisk parted partx delpart", func(c *call) bool {
			return len(c.Argv) > 1 && !c.asksHelp() && !c.has("-l", "--list", "print", "-d", "--dump", "-p", "--print")
		}),
		tool("wipe-device", "wipefs blkdiscard hdparm nvme badblocks", func(c *call) bool {
			switch c.name {
			case "wipefs":
				return c.opts("ot").Has("a", "all", "o", "offset")
			case "hdparm":
				return slices.ContainsFunc(c.args(), func(a string) bool {
					return strings.HasPrefix(a, "--security") || strings.HasPrefix(a, "--trim") || a == "--write-sector"
				})
			case "nvme":
				return landmark.Starts(c.words(), "format|sanitize|delete-ns|write-zeroes")
			case "badblocks":
				return c.opts("bcdeiopt").Has("w", "n")
			}
			return len(c.Argv) > 1 && !c.asksHelp()
		}),
		tool("volume-manager", "pvcreate pvremove vgremove vgreduce lvremove lvreduce lvresize bcachefs lvconvert sg_format cryptsetup mdadm zpool zfs btrfs dmsetup diskutil", func(c *call) bool {
			switch c.name {
			case "cryptsetup":
				return c.has("luksFormat", "erase", "luksErase", "luksKillSlot", "luksRemoveKey", "reencrypt")
			case "mdadm":
				return c.has("--zero-superblock", "--create", "-C", "--fail", "--remove", "--stop", "-S")
			case "lvresize":
				return c.has("-f", "--force", "-y", "--yes") || slices.ContainsFunc(c.opts("Ll", "size", "extents").Values("L", "l", "size", "extents"), func(v string) bool { return !strings.HasPrefix(v, "+") })
			case "bcachefs":
				return landmark.Starts(c.words(), "format|device|migrate|reset-counters") || unknown(c.words())
			case "zpool", "zfs":
				return landmark.Starts(c.words(), "destroy|labelclear|create|rollback") && (c.name == "zpool" || !c.has("create"))
			case "btrfs":
				return c.has("delete") && c.has("subvolume", "device")
			case "dmsetup":
				return c.has("remove", "remove_all", "wipe_table")
			case "diskutil":
				return slices.ContainsFunc(c.args(), func(a string) bool {
					return strings.HasPrefix(strings.ToLower(a), "erase") || strings.HasPrefix(a, "partition") || strings.HasPrefix(a, "zero") || strings.HasPrefix(a, "secure")
				})
			}
			return len(c.Argv) > 1 && !c.asksHelp()
		}),
		{id: "mount-change", family: "filesystem", severity: destructive, programs: "umount swapoff mount tune2fs debugfs losetup xfs_repair resize2fs fsck e2fsck vgchange", reason: "changes what is mounted or how a file system is kept", suggestion: ask, match: func(c *call) bool {
			switch c.name {
			case "mount":
				return len(c.words()) > 0 && !c.has("-l")
			case "fsck", "e2fsck":
				return c.opts("bBCEjlLz").Has("y", "p", "a", "f")
			case "vgchange":
				return c.has("-an", "n")
			case "debugfs":
				return c.opts("Rf").Has("w")
			case "tune2fs":
				return !c.has("-l") && len(c.Argv) > 1
			case "losetup":
				return c.has("-D", "--detach-all")
			}
			return len(c.Argv) > 1 && !c.asksHelp()
		}},
		{id: "write-device", family: "block-device", severity: critical, reason: "writes raw data to a disk or to memory", suggestion: "write to a regular file in the workspace", match: func(c *call) bool {
			return slices.ContainsFunc(c.written(), func(w string) bool {
				return landmark.Device(w) || strings.HasPrefix(w, "/dev/") && strings.Contains(w, shell.Unknown)
			})
		}},
		{id: "device-operand", family: "block-device", severity: destructive, reason: "gives a disk to a program that may write to it", suggestion: ask, match: (*call).givesDevice},
		{id: "write-unknown", family: "block-device", severity: blocked, programs: "dd shred", reason: "overwrites a place that only the real run knows", suggestion: "write the target out", match: func(c *call) bool {
			return slices.ContainsFunc(c.written(), func(w string) bool {
				return strings.HasPrefix(w, shell.Unknown) || strings.HasPrefix(w, "/dev/"+shell.Unknown)
			})
		}},
		{id: "shred", family: "filesystem", severity: destructive, programs: "shred srm wipe", reason: "destroys files beyond recovery", suggestion: "delete them with rm, or ask the owner", match: func(c *call) bool {
			return slices.ContainsFunc(c.words(), func(w string) bool {
				return c.hits(w) > place.Free || !c.insideWorkspace(w) || strings.ContainsAny(w, "*?")
			})
		}},
	}
}

// givesDevice reports whether a call hands a disk to a program that is not known
// only to look at it.
func (c *call) givesDevice() bool {
	if c.Wrapper || landmark.Inspector(c.name) || landmark.Talker(c.name) || landmark.Looker(c.name) || c.asksHelp() {
		return false
	}
	return anyAt(c.Argv, func(i int) bool {
		a := c.Argv[i]
		if i == 0 || program.Message(c.name, c.Argv, i) || program.Pattern(c.name, c.Argv, i) || strings.HasPrefix(a, "if=") {
			return false
		}
		source := i < len(c.Argv)-1 && slices.Contains([]string{"cp", "rsync", "ddrescue", "dd_rescue", "qemu-img", "pv", "bmaptool", "gzip", "xz", "zstd", "tar"}, c.name)
		if strings.HasPrefix(c.name, "partclone") && slices.Contains([]string{"-s", "--source"}, c.Argv[i-1]) {
			source = true
		}
		named := slices.ContainsFunc(strings.FieldsFunc(a, func(r rune) bool { return strings.ContainsRune("=,:", r) }), landmark.Device)
		return !source && (named || !filepath.IsAbs(a) && strings.HasPrefix(c.Cwd, "/dev") && landmark.Device(c.abs(a)))
	})
}

// image reports whether all that a call names are ordinary files of the
// workspace or for a while, as the images of disks are.
func (c *call) image() bool {
	w := c.words()
	return len(w) > 0 && !slices.ContainsFunc(w, func(a string) bool {
		path := c.abs(a)
		return path == "" || strings.Contains(a, shell.Unknown) || strings.ContainsAny(a, "*?[") || c.hits(a) != place.Free ||
			!landmark.Under(c.p.cfg.Workspace, path) && !landmark.Under("/tmp", path)
	})
}

func permissionRules() []rule {
	const family = "permissions"
	return []rule{
		{id: "chmod-system", family: family, severity: destructive, programs: "chmod chown chgrp setfacl chattr chcon", reason: "changes who may do what with files of the system", suggestion: "change single files inside the workspace", match: func(c *call) bool {
			o := c.opts("mxMXu", "modify", "remove", "reference", "user", "type")
			targets := o.Operands
			switch {
			case c.name == "chattr":
				targets = slices.DeleteFunc(slices.Clone(targets), func(t string) bool { return t[:min(1, len(t))] == "+" || t[:min(1, len(t))] == "=" })
			case c.name == "chmod" && slices.ContainsFunc(c.args(), func(a string) bool { return len(a) > 1 && a[0] == '-' && strings.Trim(a[1:], "rwxXst") == "" }):
				// The mode looks like an option.
				targets = slices.DeleteFunc(slices.Clone(c.args()), func(a string) bool { return strings.HasPrefix(a, "-") })
			case c.name != "setfacl" && !o.Has("reference") && len(targets) > 0:
				targets = targets[1:]
			}
			for _, t := range targets {
				at := c.hits(t)
				tree := o.Has("R", "recursive")
				if mine := c.place(t) == place.Free; mine && at == place.Root {
					if tree && c.has("777", "000", "0777", "a+rwx", "a-rwx", "ugo+rwx", "0", "a=", "a-r") {
						return true
					}
					continue
				}
				if at >= place.System || tree && at >= place.Outside {
					return true
				}
			}
			return false
		}},
		{id: "setuid", family: family, severity: destructive, programs: "chmod setcap install", reason: "lets a program run with another user's rights", suggestion: "run the one command with the rights it needs", match: func(c *call) bool {
			if c.name == "setcap" {
				return len(c.Argv) > 1 && !c.has("-v", "-h")
			}
			return slices.ContainsFunc(c.args(), func(a string) bool {
				a = strings.TrimPrefix(a, "-m")
				digits := len(a) == 4 && strings.Trim(a, "01234567") == ""
				return digits && strings.Contains("4567", a[:1]) || digits && a[0] == '2' || strings.Contains(a, "+s") && strings.Trim(a, "ugoarwxXst+-=,") == "" || strings.Contains(a, "u+xs") || strings.Contains(a, "u=rwxs")
			})
		}},
	}
}
