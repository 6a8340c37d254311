package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// howOften bounds how often the files are looked at: Kubernetes replaces them a minute after the Secret, not sooner.
const howOften = time.Second

func init() {
	caddy.RegisterModule(Mounted{})
}

// Mounted gives every client the certificate that lies in two files, and takes up files that were replaced with the
// next handshake: no configuration is loaded anew, so no connection ends. A pair that does not fit together, as when
// one file was replaced before the other, is passed over, and the one before it stays.
type Mounted struct {
	Certificate string `json:"certificate"`
	Key         string `json:"key"`

	state  *state
	logger *zap.Logger
}

type state struct {
	sync.Mutex
	looked time.Time
	stamp  string
	pair   *tls.Certificate
	err    error
}

// CaddyModule is the module's name for Caddy.
func (Mounted) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tls.get_certificate.mounted", New: func() caddy.Module { return new(Mounted) }}
}

// Provision prepares the module.
func (m *Mounted) Provision(ctx caddy.Context) error {
	m.state, m.logger = new(state), ctx.Logger()
	return nil
}

// Validate refuses a configuration that names no files.
func (m *Mounted) Validate() error {
	if m.Certificate == "" || m.Key == "" {
		return fmt.Errorf("certificate and key have to name files")
	}
	return nil
}

// GetCertificate is the certificate as the files have it now.
func (m *Mounted) GetCertificate(_ context.Context, _ *tls.ClientHelloInfo) (*tls.Certificate, error) {
	s := m.state
	s.Lock()
	defer s.Unlock()
	if now := time.Now(); now.Sub(s.looked) >= howOften {
		s.looked = now
		if stamp := m.stamp(); stamp != s.stamp || s.pair == nil {
			m.load(s, stamp)
		}
	}
	if s.pair == nil {
		// never nothing at all: Caddy would ask a CA of its own choice
		return nil, fmt.Errorf("no certificate was read from %s: %w", m.Certificate, s.err)
	}
	return s.pair, nil
}

func (m *Mounted) load(s *state, stamp string) {
	pair, err := tls.LoadX509KeyPair(m.Certificate, m.Key)
	if err != nil {
		s.err = err
		m.logger.Warn("certificate is not taken up", zap.Error(err))
		return
	}
	s.pair, s.stamp, s.err = &pair, stamp, nil
	m.logger.Info("certificate taken up", zap.Strings("names", pair.Leaf.DNSNames), zap.Time("until", pair.Leaf.NotAfter))
}

// stamp changes whenever one of the files was replaced or written.
func (m *Mounted) stamp() string {
	text := ""
	for _, name := range []string{m.Certificate, m.Key} {
		found, err := os.Stat(name)
		if err != nil {
			return ""
		}
		text += fmt.Sprintf("%d %d;", found.ModTime().UnixNano(), found.Size())
	}
	return text
}

var (
	_ caddy.Provisioner = (*Mounted)(nil)
	_ caddy.Validator   = (*Mounted)(nil)
	_ certmagic.Manager = (*Mounted)(nil)
)
