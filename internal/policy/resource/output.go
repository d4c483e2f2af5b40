package resource

import (
	"slices"
	"strings"

	"phantom/internal/policy/landmark"
	"phantom/internal/policy/shell"
)

// Outputs returns the files that archivers, dumpers and their kin write by
// their own options and operands.
func (u Use) Outputs() []string {
	switch u.Program {
	case "tar", "gtar", "bsdtar", "star":
		return u.archive()
	case "zip":
		if w := u.opts("bntxi").Operands; len(w) > 1 {
			return w[:1]
		}
	case "7z", "7za", "7zr", "rar", "ar", "jar":
		if w := u.words(); len(w) > 2 && strings.Trim(w[0], "aurqmcfvsDxM0") == "" && strings.ContainsAny(w[0], "aurqmc") {
			return w[1:2]
		}
	case "cpio", "pax":
		if o := u.opts("OFfEHRCI", "file"); o.Has("o", "w", "create") {
			return slices.Concat(o.Values("O"), o.Values("F", "f", "file"))
		}
	case "mksquashfs", "lz4", "ffmpeg", "convert", "magick", "objcopy":
		if w := u.opts("isSftvcaprbBq", "input", "output").Operands; len(w) > 1 {
			return w[len(w)-1:]
		}
	case "dump", "xfsdump", "pg_dump", "pg_dumpall", "ssh-keygen":
		if o := u.opts("fbdLMhpUntCNE", "file", "dbname"); u.Program != "ssh-keygen" || !o.Has("l", "y", "R", "F", "e", "B", "E") {
			return o.Values("f", "file")
		}
	case "mysqldump", "mariadb-dump":
		return u.opts("ruphP", "result-file").Values("r", "result-file")
	case "tcpdump", "tshark", "dumpcap":
		return u.opts("wricsnCGWyY").Values("w")
	case "gpg", "gpg2":
		return slices.DeleteFunc(u.opts("our", "output").Values("o", "output"), func(file string) bool {
			return u.has("--dearmor") && strings.HasSuffix(file, ".gpg") // the way to a key ring of packages
		})
	case "strace", "ltrace", "iconv", "patch", "perf":
		return u.opts("oeEpuriftSsd", "output").Values("o", "output")
	case "openssl":
		for i, a := range u.Args {
			if (a == "-out" || a == "-keyout") && i+1 < len(u.Args) {
				return u.Args[i+1 : i+2]
			}
		}
	case "ssh":
		return u.opts("BbcDEeFIiJLlmOopQRSWw").Values("E")
	case "scp":
		if w := u.opts("BbcDFiJloPSX").Operands; len(w) > 1 {
			to := w[len(w)-1]
			if host, path, remote := strings.Cut(to, ":"); remote && shell.Here(host) {
				return []string{path}
			} else if !remote {
				return []string{to}
			}
		}
	case "rsync":
		o := u.opts("efT", "log-file", "write-batch", "rsh", "exclude", "include", "filter")
		out := o.Values("log-file", "write-batch")
		if w := o.Operands; len(w) > 1 {
			if host, path, remote := strings.Cut(w[len(w)-1], ":"); remote && shell.Here(host) {
				out = append(out, strings.TrimPrefix(path, ":"))
			}
		}
		return out
	}
	return nil
}

// archive returns what tar writes, if it makes or changes an archive.
func (u Use) archive() []string {
	args := slices.Clone(u.Args)
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		args[0] = "-" + args[0]
		if at := strings.IndexByte(args[0], 'f'); at > 0 && at < len(args[0])-1 {
			// Of the old form, the letters take the words that follow in turn.
			args[0] = args[0][:at] + args[0][at+1:] + "f"
		}
	}
	o := shell.ParseOptions(args, "fCITXbgKNVLHF", []string{"file", "directory", "exclude", "listed-incremental"}, false)
	if !o.Has("c", "r", "u", "A", "create", "append", "update", "catenate", "concatenate", "delete") || landmark.Starts(o.Operands, "--help") {
		return nil
	}
	return o.Values("f", "file")
}
