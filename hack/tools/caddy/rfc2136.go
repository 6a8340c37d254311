package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"github.com/libdns/libdns"
	"github.com/miekg/dns"
)

// patience bounds one update of a name server.
const patience = 20 * time.Second

func init() {
	caddy.RegisterModule(RFC2136{})
}

// RFC2136 writes the records of DNS-01 challenges by dynamic updates (RFC 2136) over TCP, signed with a key that both
// sides know (TSIG, RFC 8945).
type RFC2136 struct {
	Server    string `json:"server"`
	Zone      string `json:"zone,omitempty"` // empty: the zone that Caddy found by asking for its SOA record
	KeyName   string `json:"key_name"`
	Algorithm string `json:"algorithm"`
	Key       string `json:"key"` // base64; {env.NAME} takes it from the environment
}

// CaddyModule is the module's name for Caddy.
func (RFC2136) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "dns.providers.rfc2136", New: func() caddy.Module { return new(RFC2136) }}
}

// Provision takes the key from the environment.
func (p *RFC2136) Provision(caddy.Context) error {
	p.Key = caddy.NewReplacer().ReplaceAll(p.Key, "")
	if p.Key == "" {
		return fmt.Errorf("the TSIG key is empty")
	}
	if _, _, err := net.SplitHostPort(p.Server); err != nil {
		p.Server = net.JoinHostPort(p.Server, "53")
	}
	return nil
}

// AppendRecords adds records to a zone.
func (p *RFC2136) AppendRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return p.update(ctx, zone, records, (*dns.Msg).Insert)
}

// DeleteRecords takes exactly these records out of a zone; others of the same name stay.
func (p *RFC2136) DeleteRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return p.update(ctx, zone, records, (*dns.Msg).Remove)
}

func (p *RFC2136) update(
	ctx context.Context, found string, records []libdns.Record, change func(*dns.Msg, []dns.RR),
) ([]libdns.Record, error) {
	zone := dns.Fqdn(found)
	if p.Zone != "" {
		zone = dns.Fqdn(p.Zone)
	}
	message := new(dns.Msg).SetUpdate(zone)
	for _, record := range records {
		rr := record.RR()
		if rr.Type != "TXT" {
			return nil, fmt.Errorf("records of type %s are not written", rr.Type)
		}
		name := dns.Fqdn(libdns.AbsoluteName(rr.Name, found))
		header := dns.RR_Header{Name: name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: uint32(rr.TTL.Seconds())}
		change(message, []dns.RR{&dns.TXT{Hdr: header, Txt: []string{rr.Data}}})
	}
	key := dns.Fqdn(p.KeyName)
	message.SetTsig(key, dns.Fqdn(p.Algorithm), 300, time.Now().Unix())
	client := dns.Client{Net: "tcp", Timeout: patience, TsigSecret: map[string]string{key: p.Key}}
	answer, _, err := client.ExchangeContext(ctx, message, p.Server)
	if err != nil {
		return nil, fmt.Errorf("update of zone %s at %s: %w", zone, p.Server, err)
	}
	if answer.Rcode != dns.RcodeSuccess {
		return nil, fmt.Errorf("update of zone %s at %s: %s", zone, p.Server, dns.RcodeToString[answer.Rcode])
	}
	return records, nil
}

var (
	_ caddy.Provisioner     = (*RFC2136)(nil)
	_ certmagic.DNSProvider = (*RFC2136)(nil)
)
