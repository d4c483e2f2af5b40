package policy

import (
	"slices"
	"strings"

	"phantom/internal/policy/landmark"
	"phantom/internal/policy/place"
	"phantom/internal/policy/shell"
)

const docker = "docker podman nerdctl"

// dockerWords returns the operands of a container program, without "container"
// and "image" management words that change nothing in meaning.
func (c *call) dockerWords() []string {
	w := shell.ParseOptions(c.args(), "HlcD", []string{"host", "context", "config", "log-level", "tlscacert"}, true).Operands
	if len(w) > 1 && w[0] == "container" {
		w = w[1:]
	}
	return w
}

func dockerRules() []rule {
	make := func(id string, reason, suggestion string, match func(c *call, w []string) bool) rule {
		return rule{id: id, family: "docker", severity: destructive, programs: docker, reason: reason, suggestion: suggestion, match: func(c *call) bool {
			w := c.dockerWords()
			// Behind the image of a run, the option is the container's.
			return len(w) > 0 && (!c.has("--help") || landmark.Starts(w, "run|exec|create") && c.Argv[len(c.Argv)-1] == "--help" && len(w) > 2) && match(c, w)
		}}
	}
	force := func(w []string) bool { return shell.ParseOptions(w[1:], "", nil, false).Has("f", "force") }
	return []rule{
		make("docker-prune", "removes every unused container, image, volume or network", "remove the ones you mean by name", func(_ *call, w []string) bool {
			return landmark.Starts(w, "system|volume|image|container|network|builder|buildx|pod", "prune|reset") || w[0] == "prune" || landmark.Starts(w, "builder|buildx", "rm|prune")
		}),
		make("docker-volume-rm", "deletes the data in a volume", "ask the owner, or make a backup first", func(_ *call, w []string) bool {
			return landmark.Starts(w, "volume", "rm|remove")
		}),
		{id: "compose-down", family: "docker", severity: destructive, programs: docker + " docker-compose podman-compose", reason: "stops or removes the services of a project", suggestion: "restart the one service you changed", match: func(c *call) bool {
			w := c.args()
			if !strings.HasSuffix(c.name, "-compose") {
				if w = c.dockerWords(); !landmark.Starts(w, "compose") {
					return false
				}
				w = w[1:]
			}
			w = shell.ParseOptions(w, "fp", []string{"file", "project-name", "profile", "env-file", "project-directory"}, true).Operands
			switch o := shell.ParseOptions(w, "t", []string{"timeout"}, false); {
			case landmark.Starts(w, "stop"):
				// What is stopped can be started again, unless it is Phantom.
				return unknown(o.Operands) || slices.ContainsFunc(o.Operands, landmark.Ours)
			case landmark.Starts(w, "rm") && len(o.Operands) > 1 && !o.Has("f", "force", "v", "volumes") && !unknown(o.Operands) && !slices.ContainsFunc(o.Operands, landmark.Ours):
				return false // of services that it names, and of no data
			}
			return landmark.Starts(w, "down|kill|rm") && !c.has("--help", "--dry-run")
		}},
		make("docker-rm-force", "removes or kills containers that run", "stop the one container by name first", func(_ *call, w []string) bool {
			return landmark.Starts(w, "pod", "rm|kill|stop") || landmark.Starts(w, "rm|remove") && (force(w) || unknown(w)) || w[0] == "kill" || landmark.Starts(w, "stop|restart|pause") && (unknown(w) || slices.Contains(w, "phantom"))
		}),
		make("docker-rmi-force", "removes images that may be in use", "remove one image by name", func(_ *call, w []string) bool {
			return landmark.Starts(w, "rmi") && (force(w) || unknown(w)) || landmark.Starts(w, "image", "rm") && (force(w[1:]) || unknown(w))
		}),
		make("docker-swarm", "takes a swarm, stack, node or secret apart", "ask the owner", func(_ *call, w []string) bool {
			return landmark.Starts(w, "swarm", "leave") || landmark.Starts(w, "stack|node|service|secret|config", "rm|remove") || landmark.Starts(w, "context", "rm") || landmark.Starts(w, "machine", "rm|reset")
		}),
		{id: "pod-host", family: "docker", severity: destructive, programs: "kubectl oc k3s microk8s", reason: "gives a pod the rights or the files of its host", suggestion: "leave the extra rights out", match: func(c *call) bool { return c.use().PodRights() }},
		make("docker-host", "gives a container the rights or the files of the host", "mount only a directory of the workspace and drop the extra rights", func(c *call, w []string) bool {
			if !landmark.Starts(w, "run|create|exec") && !landmark.Starts(w, "compose") {
				return false
			}
			return c.hostRights(w)
		}),
	}
}

// hostRights reports whether a run gives the container more than files of the workspace.
func (c *call) hostRights(w []string) bool {
	o := shell.ParseOptions(w[1:], "aceghlmpuvw", []string{"name", "volume", "mount", "env", "env-file", "network", "user", "workdir", "entrypoint", "publish", "cpus", "memory", "platform", "device", "cap-add", "cap-drop", "security-opt", "pid", "ipc", "uts", "userns", "cgroupns", "add-host", "label", "restart", "hostname", "tmpfs", "gpus", "volumes-from"}, true)
	if o.Has("privileged") {
		return true
	}
	for _, v := range slices.Concat(o.Values("pid"), o.Values("ipc"), o.Values("uts"), o.Values("userns"), o.Values("cgroupns")) {
		if v == "host" || strings.Contains(v, shell.Unknown) {
			return true
		}
	}
	for _, v := range o.Values("cap-add") {
		if v = strings.TrimPrefix(strings.ToUpper(v), "CAP_"); slices.Contains([]string{"ALL", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "SYS_RAWIO", "DAC_READ_SEARCH", "DAC_OVERRIDE", "NET_ADMIN", "BPF"}, v) {
			return true
		}
	}
	for _, v := range o.Values("security-opt") {
		if strings.Contains(v, "unconfined") || strings.Contains(v, "disable") {
			return true
		}
	}
	if len(o.Values("device")) > 0 {
		return true
	}
	for _, v := range o.Values("v", "volume") {
		source, _, bound := strings.Cut(v, ":")
		if bound && c.hostPath(source) {
			return true
		}
	}
	for _, v := range o.Values("mount") {
		for part := range strings.SplitSeq(v, ",") {
			if key, source, _ := strings.Cut(part, "="); (key == "source" || key == "src") && strings.Contains(v, "type=bind") && c.hostPath(source) {
				return true
			}
		}
	}
	return false
}

// hostPath reports whether a mount source is a place of the host outside the
// workspace; a bare name is a volume.
func (c *call) hostPath(source string) bool {
	if strings.Contains(source, shell.Unknown) {
		return strings.HasPrefix(source, shell.Unknown) || c.hits(source) > place.Free
	}
	if !strings.ContainsAny(source, "/~.") {
		return false
	}
	path := c.abs(source)
	if path == "" {
		return false
	}
	if landmark.Under(c.p.cfg.Workspace, path) {
		return c.p.places.Resolved(path) > place.Free
	}
	return !c.p.opened(path, false) && !strings.HasPrefix(path, "/tmp/")
}
