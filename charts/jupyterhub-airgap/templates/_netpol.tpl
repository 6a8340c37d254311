{{- /* Ingress to a named port from pods with a label. (list port label policy) */}}
{{- define "hub.netpol.from" -}}
{{- $label := index . 1 -}}
- ports:
    - port: {{ index . 0 }}
  from:
    - podSelector:
        matchLabels: {hub.jupyter.org/network-access-{{ $label }}: "true"}
      {{- if eq (index . 2).interNamespaceAccessLabels "accept" }}
      namespaceSelector: {}
    - namespaceSelector:
        matchLabels: {hub.jupyter.org/network-access-{{ $label }}: "true"}
      {{- end }}
{{- end }}

{{- /* Ingress that the values add. */}}
{{- define "hub.netpol.ingress" -}}
{{- with .allowedIngressPorts }}
- ports:
    {{- range . }}
    - port: {{ . | toJson }}
    {{- end }}
{{- end }}
{{- with .ingress }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Egress to a port of a component of this release. (list $ component port) */}}
{{- define "hub.netpol.to" -}}
- to:
    - podSelector:
        matchLabels:
          {{- include "hub.selector" (list (index . 0) (index . 1)) | nindent 10 }}
  ports:
    - port: {{ index . 2 }}
{{- end }}

{{- /* Egress by egressAllowRules, and what the values add. (list $ policy) */}}
{{- define "hub.netpol.egress" -}}
{{- $metadata := printf "%s/32" (index . 0).Values.singleuser.cloudMetadata.ip -}}
{{- $private := list "10.0.0.0/8" "172.16.0.0/12" "192.168.0.0/16" -}}
{{- $allow := (index . 1).egressAllowRules | default dict -}}
{{- $dns := list -}}
{{- if $allow.dnsPortsPrivateIPs }}{{ $dns = $private }}{{ end -}}
{{- if $allow.dnsPortsCloudMetadataServer }}{{ $dns = append $dns $metadata }}{{ end -}}
{{- if or $dns $allow.dnsPortsKubeSystemNamespace }}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
  to:
    {{- range $dns }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
    {{- if $allow.dnsPortsKubeSystemNamespace }}
    - namespaceSelector:
        matchLabels: {kubernetes.io/metadata.name: kube-system}
    {{- end }}
{{- end }}
{{- if $allow.nonPrivateIPs }}
- to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except: {{ append $private $metadata | toJson }}
{{- end }}
{{- if $allow.privateIPs }}
- to:
    {{- range $private }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
{{- end }}
{{- if $allow.cloudMetadataServer }}
- to:
    - ipBlock: {cidr: {{ $metadata | quote }}}
{{- end }}
{{- with (index . 1).egress }}
{{ toYaml . }}
{{- end }}
{{- end }}
