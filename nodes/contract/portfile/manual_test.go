package portfile

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
)

// The tables of the manual are those of this package.
func TestManualShowsTheLayout(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{
		// parts: offset, length
		fmt.Sprintf("| header | 0 | %d |", HeaderSize),
		fmt.Sprintf("| %d member slots | %d | %d each |", MaxMembers, SlotsOffset, SlotSize),
		fmt.Sprintf("| directory: %d records | %d | %d each |", MaxEntries, DirectoryOffset, RecordSize),
		fmt.Sprintf("| %d entries | %d | %d each |", MaxEntries, EntriesOffset, EntrySize),
		fmt.Sprintf("| end of the file | %d |", FileSize),
		fmt.Sprintf("| entry header | 0 | %d |", EntryHeaderSize),
		fmt.Sprintf("1 = available (I12) | %d | %d |", AvailableOffset, BitmapSize),
		fmt.Sprintf("| unique: 1 = held as unique (I15) | %d | %d |", UniqueOffset, BitmapSize),
		fmt.Sprintf("| rest times, 4 bytes a port | %d | %d |", RestOffset, RestSize),
		fmt.Sprintf("1 = that stack uses the port | %d | %d each |", UsageOffset, BitmapSize),
		fmt.Sprintf("| directory | %d |", DirectoryLock),
		// fields: offset, bytes
		fmt.Sprintf("| magic | %d | %d | `%s` |", offMagic, len(Magic), Magic),
		fmt.Sprintf("| version | %d | 4 | %d;", offVersion, Version),
		fmt.Sprintf("| header size | %d | 4 | %d |", offHeaderSize, HeaderSize),
		fmt.Sprintf("| member slots | %d | 4 | %d |", offMembers, MaxMembers),
		fmt.Sprintf("| entries | %d | 4 | %d |", offEntries, MaxEntries),
		fmt.Sprintf("| slot size | %d | 4 | %d |", offSlotSize, SlotSize),
		fmt.Sprintf("| entry size | %d | 4 | %d |", offEntrySize, EntrySize),
		fmt.Sprintf("| file size | %d | 8 | %d |", offFileSize, FileSize),
		fmt.Sprintf("| id | %d | 16 |", offID),
		fmt.Sprintf("| plex | %d | %d |", offPlex, nameSize),
		fmt.Sprintf("| check | %d | 4 | CRC-32 (IEEE, `zlib.crc32`) of bytes 0 to %d |", offHeaderCheck, offHeaderCheck-1),
		fmt.Sprintf("| state | %d | 8 | %d filling, %d settled |", StateOffset, Filling, Settled),
		fmt.Sprintf("| settle | %d | 8 |", SettleOffset),
		fmt.Sprintf("| give up | %d | 8 |", GiveUpOffset),
		fmt.Sprintf("| slot state | %d | 8 | %d free, %d expected, %d live, %d ending |", SlotStateOffset, SlotFree, SlotExpected, SlotLive, SlotEnding),
		fmt.Sprintf("| incarnation | %d | 8 |", offIncarnation),
		fmt.Sprintf("| pid | %d | 4 |", offPID),
		fmt.Sprintf("| XCF address | %d | %d |", offMemberXCF, addressSize),
		fmt.Sprintf("| stack | %d | %d |", offMemberName, nameSize),
		fmt.Sprintf("| beat | %d | 8 |", BeatOffset),
		fmt.Sprintf("| sight | %d | 8 | members seen in bits 0 to 31, outside up in bit %d |", SightOffset, outsideBit),
		fmt.Sprintf("| beats of a stack | each %d ms |", BeatInterval.Milliseconds()),
		fmt.Sprintf("| answering for a DVIPA ends: the **lapse** | `dead` + %d ms after the last beat, %d ms at least and %d ms at most |",
			lapseMargin.Milliseconds(), shortestLapse.Milliseconds(), longestLapse.Milliseconds()),
		fmt.Sprintf("`%s/%s/%s`", OwnersDirectory("PORTFILE"), ClaimsDirectory(netip.MustParseAddr("44.0.0.10")), ClaimName(3)),
		fmt.Sprintf("`%s`", Owner{Stack: "MVS2", XCF: netip.MustParseAddr("10.1.0.2"), Incarnation: 2000}),
		fmt.Sprintf("`%s`", EndedName(3)),
		fmt.Sprintf("| record state | %d | 4 | %d free, %#x live |", RecordStateOffset, RecordFree, RecordLive),
		fmt.Sprintf("| record check | %d | 4 | CRC-32 of bytes %d to %d |", offCheck, offDVIPA, RecordSize-1),
		fmt.Sprintf("| DVIPA | %d | %d |", offDVIPA, addressSize),
		fmt.Sprintf("| pool first | %d | 2 |", offPoolFirst),
		fmt.Sprintf("| pool last | %d | 2 |", offPoolLast),
		fmt.Sprintf("| record | 0 | %d |", RecordSize),
		fmt.Sprintf("| intent | %d | 8 |", IntentOffset),
		fmt.Sprintf("| holder | %d | 8 |", HolderOffset),
		fmt.Sprintf("| updates | %d | 8 |", UpdatesOffset),
		fmt.Sprintf("| cursor | %d | 8 |", CursorOffset),
		fmt.Sprintf("| prepared | %d | %d |", PreparedOffset, MaxMembers/8),
	} {
		if !strings.Contains(string(text), row) {
			t.Errorf("README.md has no row %q", row)
		}
	}
}
