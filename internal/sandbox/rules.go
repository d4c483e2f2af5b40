package sandbox

import (
	"os"
	"os/user"
	"path/filepath"
	"slices"

	landlock "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// grant is one right on one place and all beneath it.
type grant struct {
	Path   raw
	Rights uint64
}

// systemLaunch are the places whose contents somebody else runs later, with
// rights that the agent does not have: the package manager's files, timers,
// services, sockets of daemons that start things. Nothing writes there.
var systemLaunch = []string{
	"/etc", "/boot", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32",
	"/usr/libexec", "/usr/share", "/usr/local/etc", "/usr/local/lib/systemd", "/bin", "/sbin", "/lib", "/lib32",
	"/lib64", "/libx32", "/var/spool/cron", "/var/spool/at", "/var/lib/systemd", "/var/lib/dpkg",
	"/var/lib/docker", "/var/lib/containerd", "/run/systemd", "/run/user",
}

// homeLaunch are the same in the home of Phantom's user.
var homeLaunch = []string{
	".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".bash_aliases", ".profile", ".kshrc", ".mkshrc",
	".zshrc", ".zshenv", ".zprofile", ".zlogin", ".zlogout", ".cshrc", ".tcshrc", ".login", ".config/fish",
	".pam_environment", ".xprofile", ".xinitrc", ".xsession", ".xsessionrc", ".Xresources", ".inputrc",
	".config/systemd", ".config/environment.d", ".config/autostart", ".config/plasma-workspace",
	".local/share/systemd", ".local/share/dbus-1", ".local/share/applications", ".local/bin", "bin",
	".ssh", ".gnupg", ".gitconfig", ".config/git", ".git", ".npmrc", ".docker", ".config/containers",
	".vimrc", ".vim", ".config/nvim", ".emacs", ".emacs.d", ".tmux.conf", ".screenrc", ".crontab",
}

// sockets lead to programs that act for whoever connects. Writing them is not
// the question, so at level full they are covered.
var sockets = []string{
	"/run/docker.sock", "/run/containerd", "/run/podman", "/run/crio", "/run/buildkit", "/run/dbus",
	"/run/systemd/private", "/run/user", "/run/screen", "/run/libvirt", "/run/snapd.socket", "/run/lxd.socket",
	"/var/lib/lxd/unix.socket", "/var/snap/lxd/common/lxd/unix.socket", "/tmp/.X11-unix",
}

// devices are the only ones that a program may open.
var devices = []string{
	"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/pts",
}

// toolReads is all that a tool sees of the machine.
var toolReads = []string{
	"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/etc", "/nix", "/proc",
	"/sys/devices/system/cpu", "/sys/kernel/mm/transparent_hugepage", "/sys/fs/cgroup",
	"/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/run/nscd",
}

// kernelTrees are not files on a disk: nothing there is written, and of /dev
// only the devices above are read.
var kernelTrees = []string{"/proc", "/sys", "/dev"}

// temporary are the directories where everybody creates files directly. A
// protected path beneath one of them would close it, so at level full it is
// left to the mounts alone.
var temporary = []string{"/tmp", "/var/tmp", "/dev/shm"}

// rules knows the configuration and answers what a profile may touch.
type rules struct {
	config Config
	level  Level
	launch []string
	hooks  []string
}

func launchPoints(c Config) []string {
	all := slices.Clone(systemLaunch)
	if u, err := user.Current(); err == nil && filepath.IsAbs(u.HomeDir) && u.HomeDir != "/" {
		for _, name := range homeLaunch {
			all = append(all, filepath.Join(u.HomeDir, name))
		}
	}
	var out []string
	for _, p := range all {
		place, err := resolve(p)
		if err != nil {
			place = p // a loop of links: nothing is written through it either
		}
		// What the owner granted is no launch point, nor is the agent's own home.
		granted := func(w string) bool { return within(place, w) }
		if !slices.ContainsFunc(c.Writable, granted) && !within(place, c.Workspace) && !slices.Contains(out, place) {
			out = append(out, place)
		}
	}
	return out
}

// grants returns what Landlock allows a profile; private is a tool's own
// directory.
func (r rules) grants(p Profile, private string) []grant {
	var out []grant
	give := func(rights uint64) func(string) {
		return func(path string) { out = append(out, grant{raw(path), rights}) }
	}
	for _, d := range devices {
		give(rightsDevice | rightsRead)(d)
	}
	if p != Tool || r.level == Full { // at full it is the tool's own
		give(rightsRead | rightsEdit)("/dev/shm")
	}
	closed := r.closed()
	if p == Tool {
		give(rightsRead | rightsEdit)(private)
		closed = append(slices.Clone(r.config.Protected), r.config.Home)
		for _, dir := range toolReads {
			around(dir, closed, give(rightsRead))
		}
		return out
	}
	// Listing is the one right that ancestors of protected places need, and it
	// cannot be given to a directory without what is beneath it.
	give(landlock.AccessFSReadDir)("/")
	around("/", append(slices.Clone(closed), "/dev"), give(rightsRead))
	for _, path := range r.config.Readable {
		give(rightsRead)(path)
	}
	kept := slices.Concat(closed, r.launch, kernelTrees)
	if r.level < Full { // there mounts keep exactly these, and the rest of the repository can be worked in
		kept = append(kept, r.hooks...)
	}
	around("/", kept, give(rightsRead|rightsEdit))
	for _, path := range r.config.Writable {
		around(path, closed, give(rightsRead|rightsEdit))
	}
	return out
}

// closed are the protected places that Landlock guards.
func (r rules) closed() []string {
	return slices.DeleteFunc(slices.Clone(r.config.Protected), func(p string) bool {
		return r.level == Full && r.loose(p)
	})
}

func (r rules) loose(p string) bool {
	return slices.ContainsFunc(temporary, func(t string) bool { return within(p, t) })
}

// around gives dir, or, where a closed place lies beneath it, everything in it
// that does not lead there. What it cannot list it does not give.
func around(dir string, closed []string, give func(string)) {
	beneath := false
	for _, c := range closed {
		if within(dir, c) {
			return
		}
		beneath = beneath || within(c, dir)
	}
	if !beneath {
		give(dir)
		return
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.Type()&os.ModeSymlink == 0 {
			around(filepath.Join(dir, e.Name()), closed, give)
		}
	}
}
