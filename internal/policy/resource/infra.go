package resource

import (
	"slices"
	"strings"

	"phantom/internal/policy/landmark"
	"phantom/internal/policy/shell"
)

// globals are the options of a program that stand before its verb and take a
// value: letters and names.
func globals(program string) (short string, long []string) {
	switch program {
	case "pulumi":
		return "Csv", []string{"cwd", "stack", "color", "tracing", "profiling"}
	case "helm", "helmfile":
		return "nflebc", []string{"namespace", "kube-context", "file", "environment", "kubeconfig", "selector", "chart", "helm-binary", "log-level", "state-values-set", "kube-apiserver", "kube-token", "registry-config"}
	case "cdk", "cdktf":
		return "acpor", []string{"app", "context", "plugin", "profile", "output", "role-arn", "toolkit-stack-name", "build", "log-level"}
	case "sst", "serverless", "sls", "amplify":
		return "srcf", []string{"stage", "region", "config", "profile", "aws-profile", "param", "function"}
	case "terragrunt", "terraform", "tofu":
		return "", []string{"terragrunt-working-dir", "working-dir", "terragrunt-config", "config", "log-level", "target", "var", "var-file", "queue-include-dir", "terragrunt-include-dir"}
	case "gsutil":
		return "ohiu", nil
	case "s3cmd":
		return "c", []string{"config", "access_key", "secret_key", "host", "host-bucket", "region"}
	case "mc":
		return "C", []string{"config-dir"}
	case "flux", "argocd", "istioctl", "linkerd", "velero", "skaffold", "devspace", "okteto", "kapp", "werf":
		return "nfalpc", []string{"namespace", "context", "kubeconfig", "filename", "profile", "app", "server", "config"}
	}
	return "", []string{"chdir", "target", "var", "var-file", "stack", "region", "profile", "stage", "config"}
}

func (u Use) lead() shell.Options {
	short, long := globals(u.Program)
	return u.opts(short, long...)
}

// Release reports whether a release is removed from a cluster.
func (u Use) Release() bool {
	return landmark.Starts(u.lead().Operands, "uninstall|delete|del|un|destroy") && !u.has("--dry-run")
}

// Infrastructure reports whether infrastructure is taken down.
func (u Use) Infrastructure() bool {
	w := u.lead().Operands
	if u.Program != "kapp" && (u.has("--help", "-help", "-h", "--dry-run", "--preview-only") || rehearsed(w)) {
		return false
	}
	switch u.Program {
	case "serverless", "sls", "sst":
		return landmark.Starts(w, "remove|rollback")
	case "zappa", "chalice":
		return landmark.Starts(w, "undeploy|delete")
	case "flux", "istioctl":
		return landmark.Starts(w, "uninstall|delete") || landmark.Starts(w, "x", "uninstall")
	case "argocd":
		return landmark.Starts(w, "app|appset|cluster|repo|proj", "delete|rm|terminate-op|delete-resource")
	case "velero":
		return landmark.Starts(w, "backup|restore|schedule", "delete") || landmark.Starts(w, "uninstall|delete")
	case "kubeadm", "k0s", "rke", "rke2", "talosctl", "kurl":
		return landmark.Starts(w, "reset|remove|destroy")
	case "devspace", "okteto", "skaffold", "kapp", "werf", "amplify":
		return landmark.Starts(w, "purge|destroy|delete|dismiss|down|cleanup")
	}
	if landmark.Starts(w, "destroy|down|delete|rm|destroy-all") {
		return true
	}
	return u.has("-destroy", "--destroy", "destroy") && landmark.Starts(w, "apply|run-all|run|up|stack|deploy") || landmark.Starts(w, "state", "rm|delete") || landmark.Starts(w, "workspace", "delete") || landmark.Starts(w, "stack", "rm") || landmark.Starts(w, "force-unlock") || landmark.Starts(w, "app", "delete")
}

// rehearsed reports whether the verb only tells what would be done. A stack or a
// target may be called plan or preview, too.
func rehearsed(w []string) bool {
	return landmark.Starts(w, "plan|preview") || landmark.Starts(w, "run-all|run|stack", "plan") || landmark.Starts(w, "stack", "run", "plan")
}

// Service reports whether a request deletes what a server of data, of a
// cluster or of a cloud keeps.
func (u Use) Service() bool {
	if slices.ContainsFunc(u.Args, func(a string) bool { return strings.Contains(a, "/_delete_by_query") }) {
		return true
	}
	o := u.opts("XHdouFTAbe", "request", "header", "data", "method")
	method, _ := o.Value("X", "request", "method")
	if !strings.EqualFold(method, "delete") && !u.has("DELETE", "--method=DELETE") {
		return false
	}
	return slices.ContainsFunc(u.Args, func(a string) bool {
		return slices.ContainsFunc(servers(), func(s string) bool { return strings.Contains(a, s) })
	})
}

// servers are parts of the addresses at which a DELETE is more than one record
// of the project's own.
func servers() []string {
	return []string{
		":9200", "_all", "/*", "docker.sock", ":2375", ":2376", ":8001", ":6443", ":16443", "kubernetes.default", "/api/v1/namespaces", "/api/v1/nodes", "/apis/apps/", "/apis/", ":2379", "/v1/kv/", ":8200/v1", ":4646/v1", ":5984", ":8983/solr", ":8086", ":15672/api", ":8083/connectors", ":8081/subjects",
		"api.github.com/repos", "api.github.com/orgs", "gitlab.com/api", "api.bitbucket.org", "api.cloudflare.com", "api.digitalocean", "api.hetzner", "api.linode.com", "api.vultr.com", "api.scaleway.com", "api.heroku.com", "api.netlify.com", "api.vercel.com", "api.fly.io", "api.machines.dev", "management.azure.com",
		"googleapis.com", "amazonaws.com", "core.windows.net", "app.terraform.io", "api.pulumi.com", "hub.docker.com", "registry.npmjs.org", "api.stripe.com", "api.supabase.com", "api.render.com", "api.mongodb.com", "cloud.mongodb.com", "console.neon.tech",
	}
}
