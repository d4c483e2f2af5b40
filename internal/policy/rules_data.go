package policy

import (
	"slices"
	"strings"

	"phantom/internal/policy/landmark"
	"phantom/internal/policy/shell"
)

// sql returns the words, in capitals, of what a database client is to run.
func (c *call) sql() [][]string {
	text := strings.Join(c.args(), " ; ")
	if c.Piped {
		text += " ; " + c.Stdin
	}
	var out [][]string
	for stmt := range strings.SplitSeq(strings.ToUpper(landmark.Unquoted(text)), ";") {
		if option, value, ok := strings.Cut(stmt, "="); ok && strings.HasPrefix(strings.TrimSpace(option), "--") {
			stmt = value
		}
		out = append(out, strings.FieldsFunc(stmt, func(r rune) bool { return strings.ContainsRune(" \t\n'\"`(),", r) }))
	}
	return out
}

func databaseRules() []rule {
	const family = "database"
	const why, safer = "destroys a database or all rows of a table", "back it up first and ask the owner"
	return []rule{
		{id: "sql-drop", family: family, severity: destructive, programs: "psql mysql mariadb sqlite3 sqlite clickhouse-client clickhouse sqlcmd sqlplus duckdb cockroach cqlsh pgcli mycli usql snowsql bq litecli influx", reason: why, suggestion: safer, match: func(c *call) bool { return slices.ContainsFunc(c.sql(), landmark.DestroysData) }},
		{id: "database-drop", family: family, severity: destructive, programs: "dropdb dropuser mysqladmin redis-cli valkey-cli mongosh mongo rails rake artisan php prisma npx knex sequelize alembic python python3 manage.py ./manage.py django-admin bundle supabase etcdctl rabbitmqctl kafka-topics kafka-topics.sh pg_resetwal bin/rails flask pg_restore pg_dropcluster typeorm drizzle-kit yarn pnpm bunx mix", reason: why, suggestion: safer, match: dropsDatabase},
		{id: "search-index-delete", family: family, severity: destructive, programs: "curl http https xh wget", reason: "deletes data over a service's interface", suggestion: "ask the owner", match: func(c *call) bool {
			if slices.ContainsFunc(c.args(), func(a string) bool { return strings.Contains(a, "/_delete_by_query") }) {
				return true
			}
			method, _ := c.opts("XHdouFTAbe", "request", "header", "data").Value("X", "request")
			if !strings.EqualFold(method, "delete") && !c.has("DELETE", "--method=DELETE") {
				return false
			}
			return slices.ContainsFunc(c.args(), func(a string) bool {
				return strings.Contains(a, ":9200") || strings.Contains(a, "_all") || strings.Contains(a, "/*") || strings.Contains(a, "api.github.com/repos") || strings.Contains(a, "api.cloudflare.com") || strings.Contains(a, "api.digitalocean") || strings.Contains(a, "api.hetzner") || strings.Contains(a, "docker.sock") || strings.HasSuffix(a, "/_delete_by_query")
			})
		}},
	}
}

func dropsDatabase(c *call) bool {
	w := c.words()
	all := strings.Join(c.args(), " ")
	switch c.name {
	case "dropdb", "dropuser", "pg_resetwal":
		return !c.asksHelp()
	case "pg_dropcluster":
		return len(w) > 0
	case "pg_restore":
		return c.opts("dFfhIjlLnNpPStTU").Has("c", "clean")
	case "mysqladmin":
		return c.has("drop")
	case "redis-cli", "valkey-cli":
		up := strings.ToUpper(all + " " + c.Stdin)
		return strings.Contains(up, "FLUSHALL") || strings.Contains(up, "FLUSHDB") || strings.Contains(up, "SHUTDOWN") || strings.Contains(up, "KEYS") && strings.Contains(up, "DEL") || landmark.Starts(w, "del|unlink|DEL|UNLINK") && unknown(w)
	case "mongosh", "mongo":
		text := all + c.Stdin
		return slices.ContainsFunc([]string{"dropDatabase", ".drop(", "deleteMany({})", "remove({})"}, func(s string) bool { return strings.Contains(text, s) })
	case "etcdctl":
		return c.has("del") && c.has("--prefix", "--from-key")
	case "rabbitmqctl":
		return landmark.Starts(w, "reset|force_reset|delete_vhost|delete_user|purge_queue|delete_queue")
	case "kafka-topics", "kafka-topics.sh":
		return c.has("--delete")
	}
	return slices.ContainsFunc(c.args(), func(a string) bool {
		return slices.Contains([]string{"db:drop", "db:reset", "db:purge", "db:wipe", "migrate:fresh", "migrate:reset", "db:drop:all", "db:migrate:undo:all", "schema:drop", "ecto.drop", "ecto.reset"}, a)
	}) || landmark.Starts(w, "migrate", "reset") || landmark.Starts(w, "prisma", "migrate", "reset") || landmark.Starts(w, "db", "reset|drop") || landmark.Starts(w, "downgrade", "base") || landmark.Starts(w, "db", "downgrade", "base") || c.has("migrate:rollback") && c.has("--all") ||
		len(w) > 1 && slices.Contains([]string{"flush", "reset_db", "sqlflush"}, w[1]) && strings.Contains(w[0], "manage.py") || strings.Contains(c.name, "manage.py") && landmark.Starts(w, "flush|reset_db") || landmark.Starts(w, "prisma", "db", "push") && c.has("--force-reset") || landmark.Starts(w, "db", "push") && c.has("--force-reset")
}

func cloudRules() []rule {
	const family = "cloud"
	const safer = "ask the owner; name one resource"
	return []rule{
		{id: "cloud-delete", family: family, severity: destructive, programs: "aws gcloud az gsutil doctl hcloud linode-cli flyctl fly heroku vercel netlify eksctl kops oci ibmcloud aliyun scw vultr-cli wrangler firebase s3cmd rclone mc b2 azcopy railway openstack nomad consul vault lxc incus docker-machine multipass kind minikube k3d", reason: "deletes resources in the cloud", suggestion: safer, match: deletesCloud},
		{id: "kubernetes-delete", family: family, severity: destructive, programs: "kubectl oc k k3s microk8s", reason: "deletes or empties many things in a cluster", suggestion: safer, match: func(c *call) bool {
			o := c.opts("nlfcos", "namespace", "context", "kubeconfig", "selector", "filename", "cluster", "user", "output", "replicas", "timeout", "grace-period")
			w := o.Operands
			if len(w) > 0 && w[0] == "kubectl" {
				w = w[1:]
			}
			if c.has("--dry-run=client", "--dry-run=server", "--dry-run") || len(w) == 0 {
				return false
			}
			switch w[0] {
			case "delete":
				single := len(w) == 3 && slices.Contains([]string{"pod", "pods", "po", "job", "jobs"}, w[1]) || len(w) == 2 && (strings.HasPrefix(w[1], "pod/") || strings.HasPrefix(w[1], "job/"))
				return !single || c.has("--all", "-A", "--all-namespaces") || unknown(w)
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
		}},
		{id: "helm-uninstall", family: "infrastructure", severity: destructive, programs: "helm helmfile", reason: "removes a release and what runs in it", suggestion: safer, match: func(c *call) bool {
			return landmark.Starts(c.opts("nf", "namespace", "kube-context", "file", "environment", "kubeconfig").Operands, "uninstall|delete|del|un|destroy") && !c.has("--dry-run")
		}},
		{id: "terraform-destroy", family: "infrastructure", severity: destructive, programs: "terraform tofu terragrunt pulumi cdk cdktf serverless sls vagrant ansible-playbook sam copilot nixops", reason: "takes infrastructure down", suggestion: "plan first and ask the owner", match: func(c *call) bool {
			w := c.opts("", "chdir", "target", "var", "var-file", "stack").Operands
			if c.has("--help", "-help", "-h", "plan") {
				return false
			}
			if c.name == "serverless" || c.name == "sls" {
				return landmark.Starts(w, "remove")
			}
			if landmark.Starts(w, "destroy|down|delete|rm") {
				return true
			}
			return c.has("-destroy", "--destroy", "destroy") && landmark.Starts(w, "apply|run-all|run|up|stack|deploy") || landmark.Starts(w, "state", "rm") || landmark.Starts(w, "workspace", "delete") || landmark.Starts(w, "stack", "rm") || landmark.Starts(w, "force-unlock") || landmark.Starts(w, "app", "delete")
		}},
	}
}

func deletesCloud(c *call) bool {
	o := shell.ParseOptions(c.args(), "", []string{"region", "profile", "output", "query", "project", "zone", "endpoint-url", "resource-group"}, false)
	w := o.Operands
	if c.has("--dry-run", "--dryrun", "help", "--help") || len(w) == 0 {
		return false
	}
	switch c.name {
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
		return c.has("delete") && c.has("--all", "--purge", "-a")
	case "gsutil", "s3cmd", "mc":
		if landmark.Starts(w, "rm|del") && slices.ContainsFunc(w, func(a string) bool { return strings.HasSuffix(a, "*") }) {
			return true
		}
		return slices.ContainsFunc(w, func(a string) bool { return a == "rb" }) || c.has("rm", "del", "delete") && c.has("-r", "-R", "--recursive", "--force", "-rf", "**") || landmark.Starts(w, "rsync") && c.has("-d")
	case "rclone":
		return landmark.Starts(w, "purge|delete|sync|rmdirs|cleanup") && (!landmark.Starts(w, "sync") || o.Has("delete-excluded"))
	case "vault":
		return landmark.Starts(w, "delete|secrets|auth|kv") && (w[0] == "delete" || c.has("disable", "destroy"))
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
	return landmark.Starts(w, "remove|rm|destroy|delete|down") && slices.Contains([]string{"vercel", "flyctl", "fly", "wrangler", "railway"}, c.name)
}
