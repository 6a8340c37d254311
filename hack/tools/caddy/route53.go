package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"github.com/libdns/libdns"
)

func init() {
	caddy.RegisterModule(Route53{})
}

// Route53 writes the records of DNS-01 challenges into a hosted zone of Amazon Route 53. Credentials are found as the
// AWS SDK finds them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a web identity token.
type Route53 struct {
	Region       string `json:"region,omitempty"`
	HostedZoneID string `json:"hosted_zone_id,omitempty"` // empty: the public zone of the name that Caddy found
	Endpoint     string `json:"endpoint,omitempty"`       // for tests

	client *route53.Client
}

// CaddyModule is the module's name for Caddy.
func (Route53) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "dns.providers.route53", New: func() caddy.Module { return new(Route53) }}
}

// Provision finds credentials.
func (p *Route53) Provision(ctx caddy.Context) error {
	region := p.Region
	if region == "" {
		region = "us-east-1" // Route 53 is one service for the whole world; requests are signed for this region
	}
	found, err := config.LoadDefaultConfig(ctx, config.WithRegion(region))
	if err != nil {
		return err
	}
	p.client = route53.NewFromConfig(found, func(o *route53.Options) {
		if p.Endpoint != "" {
			o.BaseEndpoint = aws.String(p.Endpoint)
		}
	})
	return nil
}

// AppendRecords adds values to the record sets of their names.
func (p *Route53) AppendRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return p.change(ctx, zone, records, func(values map[string]bool, value string) { values[value] = true })
}

// DeleteRecords takes values out of the record sets of their names.
func (p *Route53) DeleteRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return p.change(ctx, zone, records, func(values map[string]bool, value string) { delete(values, value) })
}

// change reads each record set and writes it anew: Route 53 knows sets, and two challenges may share a name.
func (p *Route53) change(
	ctx context.Context, zone string, records []libdns.Record, alter func(map[string]bool, string),
) ([]libdns.Record, error) {
	id, err := p.zoneID(ctx, zone)
	if err != nil {
		return nil, err
	}
	for _, record := range records {
		rr := record.RR()
		if rr.Type != "TXT" {
			return nil, fmt.Errorf("records of type %s are not written", rr.Type)
		}
		name := libdns.AbsoluteName(rr.Name, zone)
		before, known, err := p.values(ctx, id, name)
		if err != nil {
			return nil, err
		}
		after := map[string]bool{}
		for value := range before {
			after[value] = true
		}
		alter(after, strconv.Quote(rr.Data))
		// a set is taken away by naming it exactly as it is, its time to live too
		ttl := known
		if ttl == 0 {
			ttl = max(int64(rr.TTL.Seconds()), 60)
		}
		if err := p.write(ctx, id, name, before, after, ttl); err != nil {
			return nil, err
		}
	}
	return records, nil
}

func (p *Route53) zoneID(ctx context.Context, zone string) (string, error) {
	if p.HostedZoneID != "" {
		return p.HostedZoneID, nil
	}
	name := strings.TrimSuffix(zone, ".") + "."
	found, err := p.client.ListHostedZonesByName(ctx, &route53.ListHostedZonesByNameInput{DNSName: &name})
	if err != nil {
		return "", err
	}
	for _, each := range found.HostedZones {
		if aws.ToString(each.Name) == name && (each.Config == nil || !each.Config.PrivateZone) {
			return strings.TrimPrefix(aws.ToString(each.Id), "/hostedzone/"), nil
		}
	}
	return "", fmt.Errorf("no public hosted zone has the name %s", name)
}

// values are the values of a name's record set, and its time to live; 0 where there is no set.
func (p *Route53) values(ctx context.Context, id, name string) (map[string]bool, int64, error) {
	one := int32(1)
	found, err := p.client.ListResourceRecordSets(ctx, &route53.ListResourceRecordSetsInput{
		HostedZoneId: &id, StartRecordName: &name, StartRecordType: types.RRTypeTxt, MaxItems: &one,
	})
	if err != nil {
		return nil, 0, err
	}
	values, ttl := map[string]bool{}, int64(0)
	for _, set := range found.ResourceRecordSets {
		if set.Type == types.RRTypeTxt && strings.TrimSuffix(aws.ToString(set.Name), ".") == strings.TrimSuffix(name, ".") {
			ttl = aws.ToInt64(set.TTL)
			for _, record := range set.ResourceRecords {
				values[aws.ToString(record.Value)] = true
			}
		}
	}
	return values, ttl, nil
}

func (p *Route53) write(ctx context.Context, id, name string, before, after map[string]bool, ttl int64) error {
	action, values := types.ChangeActionUpsert, after
	if len(after) == 0 {
		if len(before) == 0 {
			return nil
		}
		action, values = types.ChangeActionDelete, before
	}
	set := types.ResourceRecordSet{Name: &name, Type: types.RRTypeTxt, TTL: &ttl}
	for value := range values {
		set.ResourceRecords = append(set.ResourceRecords, types.ResourceRecord{Value: aws.String(value)})
	}
	_, err := p.client.ChangeResourceRecordSets(ctx, &route53.ChangeResourceRecordSetsInput{
		HostedZoneId: &id,
		ChangeBatch:  &types.ChangeBatch{Changes: []types.Change{{Action: action, ResourceRecordSet: &set}}},
	})
	return err
}

var (
	_ caddy.Provisioner     = (*Route53)(nil)
	_ certmagic.DNSProvider = (*Route53)(nil)
)
