<#
.SYNOPSIS
Makes the virtual machines of a PDSHub on Hyper-V: disks, VLAN ids, seed; nothing is installed by hand.
.DESCRIPTION
Reads machines.json, which Ansible wrote beside this script, and makes each machine that is not there. A machine that is
there is left as it is, and so is every disk. With -WhatIf it only says what it would do.
.PARAMETER Image
A Debian image for generic clouds as VHDX. Each machine gets a copy:
qemu-img convert -O vhdx debian-13-genericcloud-amd64.qcow2 debian.vhdx
.PARAMETER Folder
Where machines and disks are made.
.PARAMETER SwitchName
The virtual switch, which is connected to the port with the VLANs of all zones.
.PARAMETER Name
Only machines with these names.
.EXAMPLE
.\New-PdshubMachine.ps1 -Image D:\images\debian.vhdx -Folder D:\machines -SwitchName External -WhatIf
#>
#Requires -Version 5.1
#Requires -RunAsAdministrator
#Requires -Modules Hyper-V
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory)]
    [string] $Image,

    [Parameter(Mandatory)]
    [string] $Folder,

    [Parameter(Mandatory)]
    [string] $SwitchName,

    [string[]] $Name = @()
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

function Add-PdshubDisk {
    # A data disk; one that is there is taken as it is.
    param([string] $MachineName, [string] $Path, [uint64] $Bytes)

    if (-not (Test-Path -LiteralPath $Path)) {
        New-VHD -Path $Path -SizeBytes $Bytes -Dynamic | Out-Null
    }
    Add-VMHardDiskDrive -VMName $MachineName -ControllerType SCSI -Path $Path
}

function Set-PdshubNetwork {
    # One VLAN comes in without a tag. A machine that is told to have several (a router) gets them with tags.
    param([string] $MachineName, [string] $Mac, [int] $Vlan, [int[]] $TaggedVlans)

    Set-VMNetworkAdapter -VMName $MachineName -StaticMacAddress $Mac -MacAddressSpoofing Off -DhcpGuard On -RouterGuard On
    if ($TaggedVlans.Count -gt 0) {
        $list = $TaggedVlans -join ','
        Set-VMNetworkAdapterVlan -VMName $MachineName -Trunk -AllowedVlanIdList $list -NativeVlanId 0
    }
    else {
        Set-VMNetworkAdapterVlan -VMName $MachineName -Access -VlanId $Vlan
    }
}

function New-PdshubMachine {
    # The whole of one machine, up to its start.
    param([psobject] $Machine)

    $machineName = $Machine.name
    $place = Join-Path -Path $Folder -ChildPath $machineName
    $system = Join-Path -Path $place -ChildPath 'system.vhdx'
    if (Test-Path -LiteralPath $system) {
        throw "$system is there, and no machine $machineName that has it. Move it away first."
    }
    New-Item -ItemType Directory -Path $place -Force | Out-Null
    Copy-Item -LiteralPath $Image -Destination $system
    Resize-VHD -Path $system -SizeBytes $Machine.system_bytes

    New-VM -Name $machineName -Generation 2 -Path $Folder -VHDPath $system -SwitchName $SwitchName -MemoryStartupBytes $Machine.memory_bytes | Out-Null
    Set-VMProcessor -VMName $machineName -Count $Machine.cpus
    # the nodes of Kubernetes count with all of their memory
    Set-VMMemory -VMName $machineName -DynamicMemoryEnabled $false
    # Debian's boot loader is signed by Microsoft's authority for others
    Set-VMFirmware -VMName $machineName -EnableSecureBoot On -SecureBootTemplate MicrosoftUEFICertificateAuthority
    Set-PdshubNetwork -MachineName $machineName -Mac $Machine.mac -Vlan $Machine.vlan -TaggedVlans $Machine.tagged_vlans
    foreach ($disk in $Machine.disks) {
        $path = Join-Path -Path $place -ChildPath "$($disk.name).vhdx"
        Add-PdshubDisk -MachineName $machineName -Path $path -Bytes $disk.bytes
    }
    $seed = Join-Path -Path $place -ChildPath 'seed.iso'
    Copy-Item -LiteralPath (Join-Path -Path $PSScriptRoot -ChildPath $Machine.seed) -Destination $seed
    Add-VMDvdDrive -VMName $machineName -Path $seed
    # a checkpoint of a running database is no backup, and fills this disk
    Set-VM -Name $machineName -AutomaticStartAction Start -AutomaticStopAction ShutDown -CheckpointType Disabled
}

if (-not (Test-Path -LiteralPath $Image)) {
    throw "There is no image $Image"
}
$machines = Get-Content -LiteralPath (Join-Path -Path $PSScriptRoot -ChildPath 'machines.json') -Raw -Encoding UTF8 | ConvertFrom-Json
foreach ($machine in $machines) {
    if ($Name.Count -gt 0 -and $Name -notcontains $machine.name) {
        continue
    }
    if (Get-VM -Name $machine.name -ErrorAction SilentlyContinue) {
        Write-Output "$($machine.name) is there, and is left as it is"
        continue
    }
    if ($PSCmdlet.ShouldProcess($machine.name, 'Make and start a virtual machine')) {
        New-PdshubMachine -Machine $machine
        Start-VM -Name $machine.name
        Write-Output "$($machine.name) starts"
    }
}
