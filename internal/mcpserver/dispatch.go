package mcpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"phantom/internal/access"
	"phantom/internal/audit"
	"phantom/internal/mcpserver/offer"
	"phantom/internal/phantom"
)

// judge stands before every message that the SDK has decoded.
func (s *Server) judge(next mcp.MethodHandler) mcp.MethodHandler {
	s.next = next
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		x := exchangeOf(req)
		if x == nil {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "nobody knows whose message this is"}
		}
		e := s.entry(x, method, "")
		describe(&e, req)
		if first := x.seen.Add(1) == 1; !first { // the request paid for one
			if wait, ok := s.Clients.Take(x.client.Name, 1); !ok {
				if err := s.Audit.Flood(ctx, audit.Entry{Surface: Name, Principal: e.Principal, Method: "request"}, rateExceeded); err != nil {
					return nil, s.lost(ctx, err)
				}
				return nil, x.deny(&refusal{status: http.StatusTooManyRequests, wait: wait}, codeRateLimited, rateExceeded)
			}
		}
		asks := method
		if listens(req) {
			asks = "resources/subscribe" // in another method's words
		}
		if why := s.scopes.forbids(x.client, asks, e.Tool); why != "" {
			if err := s.Audit.Refuse(ctx, e, why); err != nil {
				return nil, s.lost(ctx, err)
			}
			need := s.scopes.need(method, e.Tool).String()
			return nil, x.deny(&refusal{status: http.StatusForbidden, scope: need}, codeForbidden, "insufficient_scope: "+why)
		}
		return s.record(ctx, x, e, func(ctx context.Context) (mcp.Result, error) {
			return s.serve(ctx, x, method, req, next)
		})
	}
}

// listens reports whether a message subscribes to resources beside the lists.
func listens(req mcp.Request) bool {
	p, ok := req.GetParams().(*mcp.SubscriptionsListenParams)
	return ok && p != nil && p.Notifications != nil && len(p.Notifications.ResourceSubscriptions) > 0
}

// exchangeOf finds the request that brought a message.
func exchangeOf(req mcp.Request) *exchange {
	extra := req.GetExtra()
	if extra == nil || extra.TokenInfo == nil {
		return nil
	}
	x, _ := extra.TokenInfo.Extra[exchangeKey].(*exchange)
	return x
}

// deny makes the answer to a message a refusal, and that of its request too if
// the message is its only one.
func (x *exchange) deny(r *refusal, code int64, message string) error {
	x.refused.CompareAndSwap(nil, r)
	data, err := json.Marshal(map[string]string{"required_scope": r.scope})
	if err != nil || r.scope == "" {
		data = nil
	}
	return &jsonrpc.Error{Code: code, Message: message, Data: data}
}

// lost is the answer when the log cannot be written.
func (s *Server) lost(ctx context.Context, err error) error {
	s.Log.LogAttrs(ctx, slog.LevelError, "mcp message could not be recorded", slog.Any("error", err))
	return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: unrecorded}
}

// describe says in a row what a message is about.
func describe(e *audit.Entry, req mcp.Request) {
	switch p := req.GetParams().(type) {
	case *mcp.CallToolParamsRaw:
		e.Tool, e.Input = p.Name, string(p.Arguments)
	case *mcp.ReadResourceParams:
		e.Target = p.URI
	case *mcp.SubscribeParams:
		e.Target = p.URI
	case *mcp.UnsubscribeParams:
		e.Target = p.URI
	case *mcp.SubscriptionsListenParams:
		if p.Notifications != nil {
			e.Input = fmt.Sprintf("%+v", *p.Notifications)
		}
	case *mcp.GetPromptParams:
		e.Target = p.Name
	case *mcp.CompleteParams:
		e.Input = p.Argument.Name + "=" + p.Argument.Value
	//lint:ignore SA1019 clients of the earlier era send it
	case *mcp.SetLoggingLevelParams:
		e.Input = string(p.Level)
	case *mcp.InitializeParams:
		e.Input = "protocol " + p.ProtocolVersion
		if p.ClientInfo != nil {
			e.Input += ", " + p.ClientInfo.Name + " " + p.ClientInfo.Version
		}
	}
	if e.Target == "" {
		e.Target = sessionName(req.GetSession().ID())
	}
}

// sessionName tells sessions apart in the log, which does not hold what leads to
// them.
func sessionName(id string) string {
	const enough = 8
	if id == "" {
		return ""
	}
	return "session " + id[:min(enough, len(id))]
}

// record lets a call act between its intent and its outcome.
func (s *Server) record(ctx context.Context, x *exchange, e audit.Entry, do func(context.Context) (mcp.Result, error)) (mcp.Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	job := &work{client: x.client, session: x.session, call: true, cancel: cancel}
	if err := s.sessions.begin(job); err != nil {
		if refuseErr := s.Audit.Refuse(ctx, e, err.Error()); refuseErr != nil {
			return nil, s.lost(ctx, refuseErr)
		}
		return nil, x.deny(&refusal{status: http.StatusTooManyRequests, wait: time.Second}, codeBusy, err.Error())
	}
	defer s.sessions.end(job)
	intent, err := s.Audit.Intent(ctx, e)
	if err != nil {
		return nil, s.lost(ctx, err)
	}
	began := time.Now()
	receipt := &offer.Receipt{}
	result, err := do(offer.WithReceipt(ctx, receipt))
	o := audit.Outcome{Status: audit.OK, Duration: time.Since(began), Cost: receipt.Cost, Files: receipt.Files}
	if err != nil {
		o.Status, o.Detail = audit.Failed, err.Error()
	} else if r, ok := result.(*mcp.CallToolResult); ok && r.IsError {
		o.Status, o.Detail = audit.Failed, textOf(r)
	}
	if err := s.Audit.Outcome(ctx, intent, o); err != nil {
		return nil, s.lost(ctx, err)
	}
	return result, err
}

// textOf is what a result says first.
func textOf(r *mcp.CallToolResult) string {
	for _, c := range r.Content {
		if t, ok := c.(*mcp.TextContent); ok {
			return t.Text
		}
	}
	return ""
}

// serve hands a message on as its client's and cleans what comes back.
func (s *Server) serve(ctx context.Context, x *exchange, method string, req mcp.Request, next mcp.MethodHandler) (result mcp.Result, err error) {
	defer s.contain(ctx, func(failure error) { result, err = nil, failure })
	ctx = phantom.WithPrincipal(ctx, phantom.Principal{Kind: phantom.KindClient, Name: x.client.Name, Surface: Name, Scope: x.client.Scope})
	if cursor(req) {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "lists come in one piece: there is no cursor"}
	}
	if method == "initialize" {
		return s.initialize(ctx, x, req, next)
	}
	result, err = next(ctx, method, req)
	if err != nil {
		return nil, s.cleanError(err)
	}
	s.narrow(x.client, result)
	return result, s.clean(result)
}

// contain is deferred where the goroutine is not an HTTP server's: a panic would
// end the process instead of what it happened in.
func (s *Server) contain(ctx context.Context, fail func(error)) {
	if p := recover(); p != nil {
		id := phantom.NewID()
		s.Log.LogAttrs(ctx, slog.LevelError, "mcp call panicked", slog.String("id", id), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		fail(&jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "internal error " + id})
	}
}

// narrow leaves in a list what its reader may call or read.
func (s *Server) narrow(c access.Client, list mcp.Result) {
	switch r := list.(type) {
	case *mcp.ListToolsResult:
		r.Tools = slices.DeleteFunc(r.Tools, func(t *mcp.Tool) bool { return !s.scopes.sees(c, t.Name) })
	case *mcp.ListResourcesResult:
		if c.Tools != nil {
			r.Resources = []*mcp.Resource{}
		}
	case *mcp.ListResourceTemplatesResult:
		if c.Tools != nil {
			r.ResourceTemplates = []*mcp.ResourceTemplate{}
		}
	}
}

// cursor reports whether a list is asked for from somewhere in the middle. The
// SDK would decode what it gave out as a cursor, and nobody was given one.
func cursor(req mcp.Request) bool {
	switch p := req.GetParams().(type) {
	case *mcp.ListToolsParams:
		return p != nil && p.Cursor != ""
	case *mcp.ListResourcesParams:
		return p != nil && p.Cursor != ""
	case *mcp.ListResourceTemplatesParams:
		return p != nil && p.Cursor != ""
	case *mcp.ListPromptsParams:
		return p != nil && p.Cursor != ""
	}
	return false
}

// initialize makes a session its client's.
func (s *Server) initialize(ctx context.Context, x *exchange, req mcp.Request, next mcp.MethodHandler) (mcp.Result, error) {
	server, ok := req.GetSession().(*mcp.ServerSession)
	if !ok || server.ID() == "" {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: "initialize begins a session, and this request can have none"}
	}
	// Before the SDK agrees: what it has agreed to it keeps.
	added, err := s.sessions.add(x.client.Name, server)
	if err != nil {
		return nil, x.deny(&refusal{status: http.StatusTooManyRequests, wait: time.Second}, codeBusy, err.Error())
	}
	result, err := next(ctx, "initialize", req)
	r, ok := result.(*mcp.InitializeResult)
	if err != nil || !ok {
		if added {
			s.sessions.drop(server.ID(), errGone) // the SDK closes it
		}
		return nil, s.cleanError(err)
	}
	s.sessions.agree(server.ID(), r.ProtocolVersion)
	return result, nil
}
