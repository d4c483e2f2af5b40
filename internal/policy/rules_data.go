package policy

import (
	"slices"
	"strings"

	"phantom/internal/policy/resource"
)

func databaseRules() []rule {
	const family = "database"
	const why, safer = "destroys a database or all rows of a table", "back it up first and ask the owner"
	return []rule{
		{id: "sql-drop", family: family, severity: destructive, programs: "psql mysql mariadb sqlite3 sqlite clickhouse-client clickhouse sqlcmd sqlplus duckdb cockroach cqlsh pgcli mycli usql snowsql bq litecli influx", reason: why, suggestion: safer, match: func(c *call) bool { return c.use().SQL() }},
		{id: "database-drop", family: family, severity: destructive, programs: "dropdb dropuser mysqladmin mariadb-admin redis-cli valkey-cli mongosh mongo rails rake artisan php prisma npx knex sequelize alembic python python3 manage.py ./manage.py django-admin bundle supabase etcdctl rabbitmqctl kafka-topics kafka-topics.sh pg_resetwal bin/rails flask pg_restore pg_dropcluster typeorm drizzle-kit yarn pnpm bunx mix bin/console console symfony wp drush flyway dbmate sqlx diesel migrate goose atlas liquibase neo4j-admin cypher-shell arangosh curator_cli mikro-orm doctrine bin/magento magento nc ncat netcat telnet", reason: why, suggestion: safer, match: func(c *call) bool { return c.use().Database() }},
		{id: "search-index-delete", family: family, severity: destructive, programs: "curl http https xh wget curlie", reason: "deletes data over a service's interface", suggestion: "ask the owner", match: func(c *call) bool { return c.use().Service() }},
	}
}

// explains reports whether a call asks for the help of a subcommand; behind
// anything but plain words the option may mean something else.
func (c *call) explains() bool {
	args := c.args()
	n := len(args) - 1
	return n >= 0 && (args[n] == "--help" || args[n] == "-h") && !slices.ContainsFunc(args[:n], func(a string) bool {
		return strings.Trim(a, "abcdefghijklmnopqrstuvwxyz-") != "" || a[:min(1, len(a))] == "-"
	})
}

func (c *call) use() resource.Use {
	return resource.Use{Program: c.name, Args: c.args(), Stdin: c.Stdin, Piped: c.Piped, Given: c.Given}
}

func cloudRules() []rule {
	const family = "cloud"
	const safer = "ask the owner; name one resource"
	return []rule{
		{id: "cloud-delete", family: family, severity: destructive, programs: "aws gcloud az gsutil doctl hcloud linode-cli flyctl fly heroku vercel netlify eksctl kops oci ibmcloud aliyun scw vultr-cli wrangler firebase s3cmd rclone mc b2 azcopy railway openstack nomad consul vault lxc incus docker-machine multipass kind minikube k3d", reason: "deletes resources in the cloud", suggestion: safer, match: func(c *call) bool { return c.use().Cloud() }},
		{id: "kubernetes-delete", family: family, severity: destructive, programs: "kubectl oc k k3s microk8s", reason: "deletes or empties many things in a cluster", suggestion: safer, match: func(c *call) bool { return c.use().Cluster() && !c.explains() }},
		{id: "helm-uninstall", family: "infrastructure", severity: destructive, programs: "helm helmfile", reason: "removes a release and what runs in it", suggestion: safer, match: func(c *call) bool { return c.use().Release() && !c.explains() }},
		{id: "terraform-destroy", family: "infrastructure", severity: destructive, programs: "terraform tofu terragrunt pulumi cdk cdktf serverless sls sst vagrant ansible-playbook sam copilot nixops amplify zappa chalice flux istioctl argocd velero kubeadm k0s rke talosctl devspace okteto skaffold kapp werf", reason: "takes infrastructure down", suggestion: "plan first and ask the owner", match: func(c *call) bool { return c.use().Infrastructure() }},
	}
}
