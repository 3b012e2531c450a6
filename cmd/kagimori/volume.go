package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/app"
)

const volumeLong = `volume uses and examines volumes.

export, exports and unexport ask a running server, which has to be started with --nbd: they let clients of the Network
Block Device protocol (qemu, nbdcopy, a kernel) use a volume that is attached to a running instance. list and check read
the files in a data directory, without keys. docs/volumes.md tells more.`

func newVolume(io stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use: "volume", Short: "Export volumes to clients of NBD; list and check their files", Long: volumeLong, Args: cobra.NoArgs,
		Example: "  kagimori volume export vol-0a1b2c3d4e5f60718\n  kagimori volume check --data /var/lib/kagimori",
	}
	cmd.AddCommand(newVolumeExport(io), newVolumeExports(io), newVolumeUnexport(io), newVolumeFiles(io, false), newVolumeFiles(io, true))
	return cmd
}

func newVolumeExport(io stdio) *cobra.Command {
	var f answerFlags
	var readOnly bool
	cmd := &cobra.Command{
		Use: "export VOLUME-ID", Short: "Let clients of NBD use an attached volume", Args: cobra.ExactArgs(1),
		Long: `export prints an address for clients of NBD, one for each way in which the server can be reached. Whoever knows it can
read and write the volume, until the volume is detached, its instance or the server stops, or unexport ends it. It takes
the permission kagimori:ExportVolume on the volume.` + clientNote,
		Example: "  kagimori volume export vol-0a1b2c3d4e5f60718\n  nbdcopy disk.img \"$(kagimori volume export vol-0a1b2c3d4e5f60718)\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.exportVolume(cmd.Context(), io, args[0], readOnly)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&readOnly, "read-only", false, "the clients may not write")
	return cmd
}

func (f *answerFlags) exportVolume(ctx context.Context, io stdio, volume string, readOnly bool) error {
	if err := f.checkFormat(); err != nil {
		return err
	}
	c, err := f.client("")
	if err != nil {
		return err
	}
	var out kagimoriapi.ExportVolumeResponse
	if err := c.Do(ctx, "ExportVolume", &kagimoriapi.ExportVolumeRequest{VolumeId: &volume, ReadOnly: &readOnly}, &out); err != nil {
		return failed(err)
	}
	var uris []string
	for _, a := range out.Addresses {
		uris = append(uris, exportURI(a, out.ExportName.Reveal()))
	}
	text := strings.Join(uris, "\n") + "\n"
	if f.format == "json" {
		data, err := json.MarshalIndent(map[string]any{
			"VolumeId": volume, "ReadOnly": readOnly, "Size": api.Val(out.Size), "ExportName": out.ExportName.Reveal(), "Uris": uris,
		}, "", "  ")
		if err != nil {
			return failed(err)
		}
		text = string(data) + "\n"
	}
	_, err = fmt.Fprint(io.out, text)
	return failed(err)
}

// exportURI is the address of an export as clients take it. Source: the NBD URI specification.
func exportURI(address, name string) string {
	kind, place, _ := strings.Cut(address, ":")
	switch kind {
	case "unix":
		return "nbd+unix:///" + name + "?socket=" + url.QueryEscape(place)
	case "tls":
		return "nbds://" + place + "/" + name
	}
	return "nbd://" + place + "/" + name
}

func newVolumeExports(io stdio) *cobra.Command {
	var f answerFlags
	cmd := &cobra.Command{
		Use: "exports", Short: "List the account's exports", Args: cobra.NoArgs,
		Long: "exports lists the exports of the account in a Region, without their addresses." + clientNote, Example: "  kagimori volume exports",
		RunE: func(cmd *cobra.Command, _ []string) error { return f.listExports(cmd.Context(), io) },
	}
	f.register(cmd)
	return cmd
}

func (f *answerFlags) listExports(ctx context.Context, io stdio) error {
	if err := f.checkFormat(); err != nil {
		return err
	}
	c, err := f.client("")
	if err != nil {
		return err
	}
	var out kagimoriapi.ListVolumeExportsResponse
	if err := c.Do(ctx, "ListVolumeExports", &kagimoriapi.ListVolumeExportsRequest{}, &out); err != nil {
		return failed(err)
	}
	var b strings.Builder
	if f.format == "json" {
		text, err := plainJSON(out)
		if err != nil {
			return failed(err)
		}
		b.WriteString(text)
	} else {
		for _, e := range out.Exports {
			how := "read and write"
			if api.Val(e.ReadOnly) {
				how = "read only"
			}
			fmt.Fprintf(&b, "%s, %s, by %s at %s\n", api.Val(e.VolumeId), how, api.Val(e.Principal), e.CreationDate.UTC().Format("2006-01-02 15:04:05Z"))
		}
		if len(out.Exports) == 0 {
			b.WriteString("The account exports no volumes.\n")
		}
	}
	_, err = fmt.Fprint(io.out, b.String())
	return failed(err)
}

func newVolumeUnexport(io stdio) *cobra.Command {
	var f clientFlags
	cmd := &cobra.Command{
		Use: "unexport VOLUME-ID", Short: "End the exports of a volume", Args: cobra.ExactArgs(1),
		Long: `unexport ends all exports of a volume: its clients are disconnected. What they were told is written stays written. It
takes the permission kagimori:EndVolumeExports on the volume.` + clientNote,
		Example: "  kagimori volume unexport vol-0a1b2c3d4e5f60718",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.client("")
			if err != nil {
				return err
			}
			return failed(c.Do(cmd.Context(), "EndVolumeExports", &kagimoriapi.EndVolumeExportsRequest{VolumeId: &args[0]}, nil))
		},
	}
	f.register(cmd)
	return cmd
}

func newVolumeFiles(io stdio, check bool) *cobra.Command {
	var data, format string
	var bucket snapshotFlags
	cmd := &cobra.Command{
		Use: "list [VOLUME-ID]...", Short: "List the files of volumes and snapshots in a data directory",
		Long:    "list says what the files of volumes and snapshots in a data directory are. It needs no keys, and no server.",
		Example: "  kagimori volume list --data /var/lib/kagimori",
		RunE:    func(_ *cobra.Command, args []string) error { return volumeFiles(io, data, bucket, format, args, check) },
	}
	if check {
		cmd.Use, cmd.Short = "check [VOLUME-ID]...", "Look for damage in the files of volumes and snapshots"
		cmd.Long = `check looks for damage in the files of volumes and snapshots in a data directory: headers, lengths, allocation maps, and
that there is data wherever the map says so. Of snapshots it reads each block, wherever in the chain it was written, and
compares it with its checksum; and it finds blocks that belong to no snapshot. It needs no keys and changes nothing.
Volumes that a server has open are not checked. The exit code is 1 if something is damaged. What a volume's sectors hold,
it cannot tell: XTS does not authenticate.`
		cmd.Example = "  kagimori volume check --data /var/lib/kagimori\n  kagimori volume check vol-0a1b2c3d4e5f60718"
	}
	cmd.Flags().StringVar(&data, "data", defaultData, "data `directory`")
	cmd.Flags().StringVar(&format, "format", "text", "`form` of the answer: text or json")
	bucket.registerAccess(cmd.Flags())
	return cmd
}

func volumeFiles(io stdio, data string, bucket snapshotFlags, format string, ids []string, check bool) error {
	if format != "text" && format != "json" {
		return fmt.Errorf("--format %q is none of text and json", format)
	}
	access, err := bucket.config()
	if err != nil {
		return err
	}
	files, err := app.VolumeFiles(data, access, ids, check)
	if err != nil {
		return failed(err)
	}
	var b strings.Builder
	damaged := 0
	for _, f := range files {
		if f.Problem != "" {
			damaged++
		}
		fmt.Fprintln(&b, describeFile(&f, check))
	}
	if format == "json" {
		text, err := json.MarshalIndent(files, "", "  ")
		if err != nil {
			return failed(err)
		}
		b.Reset()
		b.WriteString(string(text) + "\n")
	}
	if _, err := fmt.Fprint(io.out, b.String()); err != nil {
		return failed(err)
	}
	if damaged > 0 && check {
		return failed(fmt.Errorf("%d of %d files are damaged", damaged, len(files)))
	}
	return nil
}

// describeFile is a line about a file.
func describeFile(f *app.VolumeFile, check bool) string {
	switch {
	case f.Problem != "":
		return f.ID + ": " + f.Problem
	case f.Busy:
		return f.ID + ": in use, not checked"
	case check:
		return f.ID + ": no damage found"
	}
	kind, state := "volume", ""
	if f.Snapshot {
		kind = "snapshot"
	}
	if !f.Closed {
		state = ", not closed properly or in use"
	}
	return fmt.Sprintf("%s: %s of %d bytes, key %s%s", f.ID, kind, f.Size, cmp.Or(f.KeyARN, "none"), state)
}
