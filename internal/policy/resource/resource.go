// Package resource knows which uses of the clouds', clusters', databases' and the
// machine's own programs destroy what they keep, or stop what they run.
//
// It owns the meaning of those programs' subcommands and of SQL. It sees the
// words of one call, runs nothing and gives no verdict; only package policy
// asks it.
package resource

import (
	"slices"
	"strings"

	"phantom/internal/policy/landmark"
	"phantom/internal/policy/shell"
)

// Use is one call of a program.
type Use struct {
	Program string
	Args    []string
	Stdin   string
	Piped   bool   // Stdin is what it reads
	Given   string // texts of files that it names
}

func (u Use) opts(short string, long ...string) shell.Options {
	return shell.ParseOptions(u.Args, short, long, false)
}

func (u Use) words() []string { return u.opts("").Operands }

func (u Use) has(words ...string) bool {
	return slices.ContainsFunc(u.Args, func(a string) bool { return slices.Contains(words, a) })
}

func unknown(words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(w, shell.Unknown) })
}

// SQL reports whether a database client is to destroy what is in a database.
func (u Use) SQL() bool {
	return slices.ContainsFunc(u.statements(), landmark.DestroysData) || u.Program == "bq" && landmark.Starts(u.opts("", "project_id", "dataset_id", "location", "format").Operands, "rm|truncate")
}

// statements returns the words, in capitals, of what a database client is to run.
func (u Use) statements() [][]string {
	var parts []string
	for _, a := range u.Args {
		parts = append(parts, landmark.Uncommented(a))
	}
	if u.Piped {
		parts = append(parts, landmark.Uncommented(u.Stdin))
	}
	text := strings.Join(append(parts, landmark.Uncommented(u.Given)), " ; ")
	var out [][]string
	for stmt := range strings.SplitSeq(strings.ToUpper(landmark.Unquoted(text)), ";") {
		if option, value, ok := strings.Cut(stmt, "="); ok && strings.HasPrefix(strings.TrimSpace(option), "--") {
			stmt = value
		}
		out = append(out, strings.FieldsFunc(stmt, func(r rune) bool { return strings.ContainsRune(" \t\n'\"`(),", r) }))
	}
	return out
}

// Database reports whether a database, or all of a part of one, is dropped.
func (u Use) Database() bool {
	w := u.words()
	all := strings.Join(u.Args, " ")
	switch u.Program {
	case "dropdb", "dropuser", "pg_resetwal":
		return !u.has("--help", "--version", "-V")
	case "pg_dropcluster":
		return len(w) > 0
	case "pg_restore":
		return u.opts("dFfhIjlLnNpPStTU").Has("c", "clean")
	case "mysqladmin", "mariadb-admin":
		return u.has("drop", "shutdown")
	case "nc", "ncat", "netcat", "telnet":
		up := strings.ToUpper(u.Stdin)
		return strings.Contains(up, "FLUSHALL") || strings.Contains(up, "FLUSHDB") || strings.Contains(up, "FLUSH_ALL")
	case "redis-cli", "valkey-cli":
		up := strings.ToUpper(all + " " + u.Stdin)
		return strings.Contains(up, "FLUSHALL") || strings.Contains(up, "FLUSHDB") || strings.Contains(up, "SHUTDOWN") || strings.Contains(up, "KEYS") && strings.Contains(up, "DEL") || landmark.Starts(w, "del|unlink|DEL|UNLINK") && unknown(w)
	case "mongosh", "mongo":
		text := all + u.Stdin
		return slices.ContainsFunc([]string{"dropDatabase", ".drop(", "deleteMany({})", "remove({})"}, func(s string) bool { return strings.Contains(text, s) })
	case "etcdctl":
		return u.has("del") && u.has("--prefix", "--from-key")
	case "rabbitmqctl":
		return landmark.Starts(w, "reset|force_reset|delete_vhost|delete_user|purge_queue|delete_queue")
	case "kafka-topics", "kafka-topics.sh":
		return u.has("--delete")
	case "wp", "drush":
		return landmark.Starts(w, "db", "drop|reset|clean") || landmark.Starts(w, "site", "empty|delete") || landmark.Starts(w, "sql:drop|sql-drop|sqlq-drop")
	case "flyway", "dbmate", "sqlx", "diesel", "migrate", "goose", "atlas", "liquibase", "neo4j-admin", "cypher-shell", "arangosh", "curator_cli":
		return u.has("clean", "drop", "dropAll", "drop-all", "reset", "down-to") && !landmark.Starts(w, "status") && !u.has("--dry-run") || strings.Contains(strings.ToUpper(all), "DETACH DELETE") || strings.Contains(all, "_dropDatabase") || u.has("delete_indices", "delete-indices")
	}
	if slices.ContainsFunc(u.Args, func(a string) bool {
		// Of the consoles' long names, the tail says what they do.
		return strings.HasSuffix(a, ":database:drop") || strings.HasSuffix(a, ":schema:drop") || strings.HasSuffix(a, ":schema-tool:drop") || a == "d:d:d" || a == "d:s:d" || strings.HasSuffix(a, ":schema:fresh") || a == "setup:uninstall"
	}) {
		return true
	}
	return slices.ContainsFunc(u.Args, func(a string) bool {
		return slices.Contains([]string{"db:drop", "db:reset", "db:purge", "db:wipe", "db:truncate_all", "db:migrate:reset", "db:dropall", "migrate:fresh", "migrate:reset", "migrate:refresh", "db:drop:all", "db:migrate:undo:all", "schema:drop", "ecto.drop", "ecto.reset"}, a)
	}) || landmark.Starts(w, "migrate", "reset") || landmark.Starts(w, "prisma", "migrate", "reset") || landmark.Starts(w, "db", "reset|drop") || landmark.Starts(w, "downgrade", "base") || landmark.Starts(w, "db", "downgrade", "base") || u.has("migrate:rollback") && u.has("--all") ||
		len(w) > 1 && slices.Contains([]string{"flush", "reset_db", "sqlflush"}, w[1]) && strings.Contains(w[0], "manage.py") || strings.Contains(u.Program, "manage.py") && landmark.Starts(w, "flush|reset_db") || landmark.Starts(w, "prisma", "db", "push") && u.has("--force-reset") || landmark.Starts(w, "db", "push") && u.has("--force-reset")
}

// Cluster reports whether many things in a cluster are deleted or emptied.
func (u Use) Cluster() bool {
	o := u.opts("nlfcos", "namespace", "context", "kubeconfig", "selector", "filename", "cluster", "user", "output", "replicas", "timeout", "grace-period")
	w := o.Operands
	if len(w) > 0 && w[0] == "kubectl" {
		w = w[1:]
	}
	if u.has("--dry-run=client", "--dry-run=server", "--dry-run") || len(w) == 0 {
		return false
	}
	switch w[0] {
	case "delete":
		single := len(w) == 3 && slices.Contains([]string{"pod", "pods", "po", "job", "jobs"}, w[1]) || len(w) == 2 && (strings.HasPrefix(w[1], "pod/") || strings.HasPrefix(w[1], "job/"))
		return !single || u.has("--all", "-A", "--all-namespaces") || unknown(w)
	case "drain":
		return true
	case "replace":
		return o.Has("force")
	case "scale":
		n, _ := o.Value("replicas")
		return n == "0"
	case "patch":
		return strings.Contains(strings.Join(w, " "), "finalizers")
	}
	return false
}

// PodRights reports whether a pod asks for more of its host than room.
func (u Use) PodRights() bool {
	w := u.words()
	if len(w) == 0 || !slices.ContainsFunc(w, func(a string) bool {
		return slices.Contains([]string{"run", "apply", "create", "replace", "patch", "debug"}, a)
	}) {
		return false
	}
	text := strings.Join(u.Args, " ") + u.Given
	if u.Piped {
		text += u.Stdin
	}
	text = strings.ToLower(strings.NewReplacer(" ", "", "\"", "", "'", "", "\n", "").Replace(text))
	return slices.ContainsFunc([]string{"hostpid:true", "hostnetwork:true", "hostipc:true", "privileged:true", "hostpath:", "--privileged", "--profile=sysadmin"}, func(s string) bool { return strings.Contains(text, s) })
}

// Cloud reports whether resources in a cloud are deleted.
func (u Use) Cloud() bool {
	o := shell.ParseOptions(u.Args, "", []string{"region", "profile", "output", "query", "project", "zone", "endpoint-url", "resource-group"}, false)
	w := o.Operands
	if u.has("--dry-run", "--dryrun", "help", "--help") || len(w) == 0 {
		return false
	}
	switch u.Program {
	case "aws":
		if landmark.Starts(w, "s3", "rb") || landmark.Starts(w, "s3", "rm") && o.Has("recursive") || landmark.Starts(w, "s3", "sync|mv") && o.Has("delete") {
			return true
		}
	case "gcloud":
		if landmark.Starts(w, "storage", "rm") && (o.Has("r", "recursive") || slices.ContainsFunc(w, func(a string) bool { return strings.HasSuffix(a, "*") })) {
			return true
		}
	case "lxc", "incus", "docker-machine":
		return landmark.Starts(w, "delete|rm")
	case "multipass", "kind", "minikube", "k3d":
		return u.has("delete") && u.has("--all", "--purge", "-a")
	case "gsutil", "s3cmd", "mc":
		o := u.lead()
		w := o.Operands
		if landmark.Starts(w, "rm|del|delete") && (o.Has("r", "R", "a", "recursive", "force") || slices.ContainsFunc(w, func(a string) bool { return strings.HasSuffix(a, "*") })) {
			return true
		}
		return slices.Contains(w, "rb") || slices.Contains(w, "**") || landmark.Starts(w, "rsync|sync|mirror") && (o.Has("d", "delete-removed", "remove") && (u.Program != "mc" || o.Has("remove")))
	case "rclone":
		return landmark.Starts(w, "purge|delete|sync|rmdirs|cleanup") && (!landmark.Starts(w, "sync") || o.Has("delete-excluded"))
	case "vault":
		return landmark.Starts(w, "delete|secrets|auth|kv") && (w[0] == "delete" || u.has("disable", "destroy"))
	case "nomad", "consul":
		return landmark.Starts(w, "kv", "delete") && o.Has("recurse") || landmark.Starts(w, "job", "stop") && o.Has("purge") || landmark.Starts(w, "system", "gc")
	case "heroku":
		return slices.ContainsFunc(w, func(a string) bool { return strings.HasSuffix(a, ":destroy") || strings.HasSuffix(a, ":reset") })
	case "firebase", "netlify":
		return slices.ContainsFunc(w, func(a string) bool {
			return strings.HasSuffix(a, ":delete") || strings.HasSuffix(a, ":remove") || strings.HasSuffix(a, ":disable")
		})
	}
	for _, a := range w {
		for _, verb := range []string{"delete", "terminate", "destroy", "purge", "remove-", "deregister", "deactivate", "schedule-key-deletion"} {
			if a == verb || strings.HasPrefix(a, verb+"-") || strings.HasPrefix(a, "batch-"+verb) || strings.HasSuffix(verb, "-") && strings.HasPrefix(a, verb) || a == "rebuild" {
				return true
			}
		}
	}
	return landmark.Starts(w, "remove|rm|destroy|delete|down") && slices.Contains([]string{"vercel", "flyctl", "fly", "wrangler", "railway"}, u.Program)
}
