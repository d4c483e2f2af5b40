package tool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"phantom/internal/phantom"
	"phantom/internal/tool/remote"
)

// planRemote judges a call of a tool of another server. The input leaves for
// that server, so beside untrusted text it asks, and a secret never goes.
func (c *Chain) planRemote(ctx context.Context, name string, input json.RawMessage) (plan, error) {
	job, err := c.Remote.Prepare(name, input)
	if err != nil {
		return plan{}, err
	}
	read := phantom.ReadingFrom(ctx).Taint
	p := plan{
		verdict: job.Verdict, target: job.Label + " " + job.Hash, summary: name + " " + string(job.Input),
		exact: fmt.Sprintf("%s %s\n(a tool of the %s, %s)\n%s", name, job.Input, job.Label, job.Hash, job.Change), tainted: !read.Clean(),
		run: func(ctx context.Context, _ phantom.CallID) output { return c.runRemote(ctx, job) },
	}
	if job.Change != "" && len(p.exact) > maxShown {
		return plan{}, errors.New("what changed about the tool is too long to be shown with the call: the owner can look at it with `phantom tools show`, and accept it")
	}
	c.outward(&p, read, job.Input, "the "+job.Label, "belongs to another server")
	return p, nil
}

func (c *Chain) runRemote(ctx context.Context, job remote.Job) output {
	result := c.Remote.Run(ctx, job)
	return output{text: printed(result.Text), failed: result.Failed, from: phantom.Web, taint: result.Taint}
}
