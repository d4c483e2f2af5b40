package email

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// checkTime bounds a check.
const checkTime = 20 * time.Second

// Check logs in at both servers and says how the channel stands. problem says
// what is missing and how to mend it.
func (c *Channel) Check(ctx context.Context) (detail string, problem error) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	c.mu.Lock()
	now := c.state
	c.mu.Unlock()
	detail = fmt.Sprintf("%s reads the mail of %s at %s and sends by %s; it answers %s when %s vouches for it",
		c.Address, c.IMAP.User, c.IMAP.address(), c.SMTP.address(), c.Owner, c.AuthServer)
	var problems []error
	s, err := c.open(ctx)
	switch {
	case err != nil:
		problems = append(problems, err)
	case !s.keeps:
		problems = append(problems, errors.New("the mailbox does not keep what was seen, so old messages are looked at again at every start: give Phantom a mailbox that it may change"))
	}
	if s != nil {
		s.close()
	}
	client, err := c.smtp(ctx)
	if err == nil {
		if err = client.DialWithContext(ctx); err == nil {
			_ = client.Close() // the login is what counts
		}
	}
	if err != nil {
		problems = append(problems, fmt.Errorf("the SMTP server %s cannot be used: %w: look at email.smtp in config/channels.yaml", c.SMTP.address(), err))
	}
	if !now.connected && now.last != nil {
		problems = append(problems, fmt.Errorf("it is not connected just now: %w", now.last))
	}
	if now.refused != "" {
		problems = append(problems, fmt.Errorf("a message in your name was refused: %s", now.refused))
	}
	return detail, errors.Join(problems...)
}
