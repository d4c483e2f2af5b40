package track

import "golang.org/x/sys/unix"

// lookHere knows the older calls, which take paths alone.
func (v *view) lookHere(n *notification) ([]Touch, bool) {
	first, second := named{here, n.args[0]}, named{here, n.args[1]}
	switch n.nr {
	case unix.SYS_OPEN:
		return v.open(n, first, n.args[1])
	case unix.SYS_CREAT:
		return v.open(n, first, unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC)
	case unix.SYS_UNLINK, unix.SYS_RMDIR:
		return v.remove(n, first)
	case unix.SYS_RENAME:
		return v.rename(n, first, second, 0)
	case unix.SYS_LINK:
		return v.link(n, first, second, 0)
	case unix.SYS_SYMLINK:
		return v.make(n, second)
	case unix.SYS_MKDIR, unix.SYS_MKNOD:
		return v.make(n, first)
	default:
		return nil, false
	}
}
