package control

import (
	"encoding/json"
	"errors"
	"net/http"

	"phantom/internal/secret"
	"phantom/internal/vault"
)

// secretValue carries a value from a command to the instance, over a
// connection on which both ends proved themselves.
type secretValue struct {
	Name   string   `json:"name"`
	Value  string   `json:"value"`
	Hosts  []string `json:"hosts,omitempty"`
	Rotate bool     `json:"rotate,omitempty"` // the secret must exist, its hosts stay
}

// The vault puts what follows on record itself.

func (s *Server) listSecrets(w http.ResponseWriter, r *http.Request) error {
	list, err := s.Secrets.List(r.Context())
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(list)
}

func (s *Server) setSecret(w http.ResponseWriter, r *http.Request) (err error) {
	var v secretValue
	if err := json.NewDecoder(r.Body).Decode(&v); err != nil {
		return errors.New("read secret: the request is damaged") // the decoder's own words may quote it
	}
	var e vault.Entry
	if v.Rotate {
		e, err = s.Secrets.Rotate(r.Context(), v.Name, secret.New(v.Value))
	} else {
		e, err = s.Secrets.Set(r.Context(), v.Name, secret.New(v.Value), v.Hosts)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(e)
}

func (s *Server) removeSecret(w http.ResponseWriter, r *http.Request) error {
	if err := s.Secrets.Remove(r.Context(), r.PathValue("name")); err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(true)
}

func (s *Server) rotateKey(w http.ResponseWriter, r *http.Request) error {
	if err := s.Secrets.RotateKey(r.Context()); err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(true)
}

func (s *Server) requestSecrets(w http.ResponseWriter, r *http.Request) error {
	var asked vault.Request
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		return errors.New("read request: it is damaged")
	}
	asked.Conversation, asked.Turn = "", "" // the owner asks, no turn
	link, err := s.Collect(r.Context(), asked)
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(link)
}
