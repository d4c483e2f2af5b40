package mcpserver

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// watchEvery is how often resources that somebody subscribed to are looked at.
const watchEvery = 2 * time.Second

// watches are the resources that clients subscribed to.
type watches struct {
	mu sync.Mutex // guards of
	of map[string]*watch
}

// watch is one resource, as it was when it was last looked at.
type watch struct {
	sum [sha256.Size]byte
	by  map[*mcp.ServerSession]struct{}
}

func newWatches() *watches { return &watches{of: map[string]*watch{}} }

// subscribe watches a resource of the list for a session. What a template
// leads to is not watched: anybody could name any number of them.
func (s *Server) subscribe(ctx context.Context, req *mcp.SubscribeRequest) error {
	uri := req.Params.URI
	result, err := s.next(ctx, "resources/list", &mcp.ListResourcesRequest{Session: req.Session, Params: &mcp.ListResourcesParams{}})
	if err != nil {
		return err
	}
	list, known := result.(*mcp.ListResourcesResult)
	if known {
		known = false
		for _, r := range list.Resources {
			known = known || r.URI == uri
		}
	}
	if !known {
		return mcp.ResourceNotFoundError(uri)
	}
	sum, err := s.digest(ctx, req.Session, uri)
	if err != nil {
		return err
	}
	s.watches.mu.Lock()
	defer s.watches.mu.Unlock()
	w := s.watches.of[uri]
	if w == nil {
		w = &watch{sum: sum, by: map[*mcp.ServerSession]struct{}{}}
		s.watches.of[uri] = w
	}
	w.by[req.Session] = struct{}{}
	return nil
}

func (s *Server) unsubscribe(_ context.Context, req *mcp.UnsubscribeRequest) error {
	s.watches.mu.Lock()
	defer s.watches.mu.Unlock()
	if w := s.watches.of[req.Params.URI]; w != nil {
		delete(w.by, req.Session)
		if len(w.by) == 0 {
			delete(s.watches.of, req.Params.URI)
		}
	}
	return nil
}

// digest reads a resource as a subscriber would.
func (s *Server) digest(ctx context.Context, reader *mcp.ServerSession, uri string) (sum [sha256.Size]byte, err error) {
	defer s.contain(ctx, func(failure error) { err = failure })
	result, err := s.next(ctx, "resources/read", &mcp.ReadResourceRequest{Session: reader, Params: &mcp.ReadResourceParams{URI: uri}})
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	if r, ok := result.(*mcp.ReadResourceResult); ok {
		for _, c := range r.Contents {
			h.Write([]byte(c.Text))
			h.Write(c.Blob)
		}
	}
	h.Sum(sum[:0])
	return sum, nil
}

// watch tells subscribers of what changes, until ctx ends.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.tell(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// tell looks at what is watched and tells the subscribers of what has changed.
func (s *Server) tell(ctx context.Context) {
	for uri, reader := range s.watched() {
		sum, err := s.digest(ctx, reader, uri)
		if err != nil {
			continue // it is looked at again
		}
		s.watches.mu.Lock()
		w := s.watches.of[uri]
		changed := w != nil && w.sum != sum
		if changed {
			w.sum = sum
		}
		s.watches.mu.Unlock()
		if !changed {
			continue
		}
		if err := s.mcp.ResourceUpdated(ctx, &mcp.ResourceUpdatedNotificationParams{URI: uri}); err != nil {
			s.Log.LogAttrs(ctx, slog.LevelDebug, "tell of a changed resource", slog.String("uri", uri), slog.Any("error", err))
		}
	}
}

// watched forgets subscribers that are gone, and returns what is left to look
// at, each with one of its subscribers.
func (s *Server) watched() map[string]*mcp.ServerSession {
	s.watches.mu.Lock()
	defer s.watches.mu.Unlock()
	if len(s.watches.of) == 0 {
		return nil
	}
	here := map[*mcp.ServerSession]bool{}
	for session := range s.mcp.Sessions() {
		here[session] = true
	}
	readers := map[string]*mcp.ServerSession{}
	for uri, w := range s.watches.of {
		for session := range w.by {
			if !here[session] {
				delete(w.by, session)
				continue
			}
			readers[uri] = session
		}
		if len(w.by) == 0 {
			delete(s.watches.of, uri)
		}
	}
	return readers
}
