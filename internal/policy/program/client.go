package program

import (
	"slices"
	"strings"
)

// Clients returns the command lines of the programs that do what code with
// these words and literals does by a client's library: emptying a store,
// deleting what is kept in a cloud, runs in a cluster or stands at an address.
func Clients(words, lits []string) [][]string {
	var out [][]string
	add := func(argv ...string) { out = append(out, argv) }
	has := func(any ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(any, w) })
	}
	imports := func(marks ...string) bool {
		return slices.ContainsFunc(slices.Concat(words, lits), func(w string) bool {
			w = strings.ToLower(w)
			return len(w) < 80 && slices.ContainsFunc(marks, func(m string) bool {
				return strings.HasPrefix(w, m) || strings.Contains(w, "@"+m) || strings.Contains(w, "/"+m)
			})
		})
	}
	if has("flushall", "flushdb", "flushAll", "flushDb", "flushDB", "FlushAll", "FlushDB", "FLUSHALL", "FLUSHDB") || imports("redis", "ioredis", "aioredis", "predis", "valkey") && slices.ContainsFunc(lits, func(l string) bool { return strings.HasPrefix(strings.ToUpper(l), "FLUSH") }) {
		add("redis-cli", "FLUSHALL")
	}
	if has("drop_database", "dropDatabase", "drop_collection", "dropCollection", "drop_all", "dropSchema", "drop_keyspace", "drop_index_template", "delete_database", "dropTables", "drop_tables") || has("deleteMany", "delete_many") && !filtered(words) && imports("mongo", "pymongo", "motor", "prisma") || has("drop") && imports("mongo", "pymongo", "motor") ||
		has("indices") && has("delete") && imports("elastic", "opensearch") {
		add("mongosh", "--eval", "db.dropDatabase()")
	}
	if imports("boto3", "botocore", "aioboto", "aws", "google", "gcloud", "azure", "digitalocean", "hcloud", "linode", "libcloud", "minio", "fog") && slices.ContainsFunc(words, ends) || imports("boto3", "google", "azure", "minio") && has("delete") && has("objects", "object_versions", "bucket", "Bucket", "force", "all", "list_blobs", "get_bucket") {
		add("aws", "cloud", "delete")
	}
	if imports("kubernetes", "k8s") && slices.ContainsFunc(words, ends) {
		add("kubectl", "delete", "namespaces", "all")
	}
	if imports("docker") && has("prune", "prune_builds", "pruneContainers", "pruneVolumes") {
		add("docker", "system", "prune")
	}
	if has("delete", "Delete") || slices.ContainsFunc(lits, func(l string) bool { return strings.EqualFold(l, "delete") }) {
		for _, l := range lits {
			if strings.Contains(l, "://") && len(out) < 20 {
				add("curl", "-X", "DELETE", l)
			}
		}
	}
	return out
}

// filtered reports whether a deletion names what it deletes: with none, code
// is too short to have a word for it.
func filtered(words []string) bool {
	i := slices.IndexFunc(words, func(w string) bool { return w == "deleteMany" || w == "delete_many" })
	return i+1 < len(words) && !slices.Contains([]string{"then", "await", "print", "console", "process", "client", "exit", "finally", "disconnect"}, words[i+1])
}

// ends reports whether a method of a cloud's or a cluster's library deletes
// more than one small thing.
func ends(method string) bool {
	low := strings.ToLower(method)
	for _, small := range []string{"object", "item", "message", "tag", "label", "key", "cookie", "marker", "alarm", "pod", "job", "file"} {
		if low == "delete_"+small || low == "delete"+small || low == "delete"+small+"command" || low == "delete_namespaced_"+small || low == "delete_"+small+"s" && small != "object" {
			return false
		}
	}
	for _, verb := range []string{"delete_", "begin_delete", "terminate_", "terminateinstances", "destroy_", "deregister_", "purge_", "delete_blobs"} {
		if strings.HasPrefix(low, verb) {
			return true
		}
	}
	return strings.HasPrefix(method, "delete") && len(method) > 6 && method[6] >= 'A' && method[6] <= 'Z' || strings.HasPrefix(method, "Delete") && strings.HasSuffix(method, "Command") || strings.HasPrefix(method, "Terminate") && strings.HasSuffix(method, "Command")
}
