# Points programs and libraries to their loader and to the libraries they need. Reads and writes ELF
# files of 64-bit little-endian machines, whatever machine it runs on.
#
#   perl elf.pl LOADER < lines      a line `library<TAB>folder`, or a file to change
#
# LOADER, which can be empty, is for executable files that name one. The search path is a RUNPATH, as
# nixpkgs' programs have it: LD_LIBRARY_PATH goes before it, and it is for the file that has it alone. It
# holds just the folders of the libraries that the file needs by name, so that a store path refers to
# nothing else.
#
# Nothing that gets loaded moves, which is what patchelf 0.18 does and where it goes wrong: in a
# program with fixed addresses (python3) it lets a writable and a read-only segment overlap. The new
# strings go to the end of the file, in a segment of their own above all others. Its program header
# takes the place of one for a note, which nothing reads at run time; the entry in the dynamic
# section takes one of those that the linker leaves spare.

use strict;
use warnings;
use constant { PT_LOAD => 1, PT_DYNAMIC => 2, PT_INTERP => 3, PT_NOTE => 4 };
use constant PT_GNU_PROPERTY => 0x6474e553;
use constant { DT_NULL => 0, DT_NEEDED => 1, DT_STRTAB => 5, DT_STRSZ => 10 };
use constant { DT_RPATH => 15, DT_RUNPATH => 29 };
use constant { SHT_PROGBITS => 1, SHT_STRTAB => 3 };
use constant READABLE => 4;
use constant { HEADER_BYTES => 56, SECTION_BYTES => 64, ENTRY_BYTES => 16 };
use constant PAGE_BYTES => 4096;

my $loader = shift @ARGV;
my %folder;
my $is_wrong = 0;
while (my $line = <STDIN>) {
  chomp $line;
  if ($line =~ /^(.*)\t(.*)$/) { $folder{$1} = $2 }
  else { change($line) }
}
exit $is_wrong;

sub wrong {
  my ($file, $what) = @_;
  print STDERR "$file $what\n";
  $is_wrong = 1;
}

sub change {
  my ($file) = @_;
  my $elf = parse(contents($file)) or return;
  # Static programs and object files need no library.
  my @needed = map { string($elf, $_->[1]) } grep { $_->[0] == DT_NEEDED } @{ $elf->{entries} };
  return if !@needed;
  my (@path, %seen);
  for my $library (@needed) {
    my $found = $folder{$library};
    if (!defined $found) {
      # A plugin for what Debian only recommends (tc/q_atm.so): it could not be loaded anyway.
      return unlink $file if $file =~ m{/lib/.+/.+\.so$};
      return wrong($file, "needs $library, which no dependency has");
    }
    push @path, $found if !$seen{$found}++;
  }
  my ($names_loader) = grep { $_->{type} == PT_INTERP } @{ $elf->{headers} };
  undef $names_loader if !-x $file;
  return wrong($file, 'needs glibc, which is no dependency') if $names_loader && $loader eq '';
  my $problem = point($elf, join(':', @path), $names_loader);
  return wrong($file, $problem) if $problem;
  open(my $out, '+<:raw', $file) or die "$file: $!\n";
  print $out $elf->{bytes};
  close $out or die "$file: $!\n";
}

sub contents {
  my ($file) = @_;
  open(my $in, '<:raw', $file) or die "$file: $!\n";
  local $/;
  return <$in>;
}

# Nothing for files of other machines, and for those that have no dynamic section.
sub parse {
  my ($bytes) = @_;
  return if length $bytes < 64 || substr($bytes, 0, 6) ne "\x7fELF\x02\x01";
  my ($at, $sections_at, $count, $sections) = unpack 'x32 Q< Q< x8 v x2 v', $bytes;
  # `x8 v x2 v` is e_phnum and e_shnum: flags, ehsize and phentsize lie before, shentsize between.
  my @headers = map {
    my %header;
    @header{qw(type flags offset address physical size memory align)} =
      unpack 'V V Q<6', substr($bytes, $at + HEADER_BYTES * $_, HEADER_BYTES);
    \%header;
  } 0 .. $count - 1;
  my %elf = (bytes => $bytes, at => $at, headers => \@headers);
  @elf{qw(sections_at sections)} = ($sections_at, $sections);
  my ($dynamic) = grep { $_->{type} == PT_DYNAMIC } @headers or return;
  my @entries = map { [unpack 'Q< Q<', substr($bytes, $dynamic->{offset} + ENTRY_BYTES * $_, ENTRY_BYTES)] }
    0 .. $dynamic->{size} / ENTRY_BYTES - 1;
  my %value = map { @$_ } reverse @entries;
  return if !$value{ +DT_STRTAB };
  @elf{qw(dynamic entries)} = ($dynamic, \@entries);
  @elf{qw(strings_address strings_size)} = @value{ DT_STRTAB, DT_STRSZ };
  for my $load (grep { $_->{type} == PT_LOAD } @headers) {
    my $inside = $elf{strings_address} - $load->{address};
    $elf{strings_at} = $load->{offset} + $inside if $inside >= 0 && $inside < $load->{size};
  }
  return \%elf;
}

sub string {
  my ($elf, $from) = @_;
  return unpack 'Z*', substr($elf->{bytes}, $elf->{strings_at} + $from, 4096);
}

# Answers what is in the way, or nothing.
sub point {
  my ($elf, $path, $names_loader) = @_;
  my $size = $elf->{strings_size};
  my $strings = substr($elf->{bytes}, $elf->{strings_at}, $size) . "$path\0";
  my $address = make_room($elf, length($strings) + ($names_loader ? length($loader) + 1 : 0));
  return 'has no program header to spare' if !$address;
  return 'has no entry in its dynamic section to spare'
    if !set_entries($elf, $address, length $strings, $size);
  my $at = length $elf->{bytes};
  move_section($elf, SHT_STRTAB, $elf->{strings_at}, $address, $at, length $strings);
  $elf->{bytes} .= $strings;
  if ($names_loader) {
    my $end = length $elf->{bytes};
    my %place = (offset => $end, address => $address + $end - $at, size => length($loader) + 1);
    move_section($elf, SHT_PROGBITS, $names_loader->{offset}, @place{qw(address offset size)});
    %$names_loader = (%$names_loader, %place);
    @$names_loader{qw(physical memory)} = @place{qw(address size)};
    $elf->{bytes} .= "$loader\0";
  }
  substr($elf->{bytes}, $elf->{at}, HEADER_BYTES * @{ $elf->{headers} }) = join '', map {
    pack 'V V Q<6', @$_{qw(type flags offset address physical size memory align)}
  } @{ $elf->{headers} };
  return;
}

# A segment for the end of the file; answers its address.
sub make_room {
  my ($elf, $size) = @_;
  my @headers = @{ $elf->{headers} };
  my ($property) = grep { $_->{type} == PT_GNU_PROPERTY } @headers;
  # A note that the loader finds by a header of its own as well, else the last, which is not the
  # build's id.
  my @notes = grep { $_->{type} == PT_NOTE } @headers;
  my ($spare) = grep { $property && $_->{offset} == $property->{offset} } @notes;
  $spare //= $notes[-1] // $property or return 0;
  my @loads = grep { $_->{type} == PT_LOAD } @headers;
  my ($end, $align) = (0, PAGE_BYTES);
  for my $load (@loads) {
    my $its_end = $load->{address} + $load->{memory};
    $end = $its_end if $its_end > $end;
    $align = $load->{align} if $load->{align} > $align;
  }
  my $at = length $elf->{bytes};
  # A segment's place in its page is the same in the file and in memory.
  my $address = int(($end + $align - 1) / $align) * $align + $at % $align;
  my %room = (type => PT_LOAD, flags => READABLE, offset => $at, align => $align);
  @room{qw(address physical size memory)} = ($address, $address, $size, $size);
  # Loadable segments stand in the order of their addresses.
  $elf->{headers} =
    [map { $_ == $loads[-1] ? ($_, \%room) : $_ == $spare ? () : $_ } @headers];
  return $address;
}

sub set_entries {
  my ($elf, $address, $size, $path_at) = @_;
  my %value = (DT_STRTAB, $address, DT_STRSZ, $size);
  my @kept = map { [$_->[0], $value{ $_->[0] } // $_->[1]] }
    grep { $_->[0] != DT_RPATH && $_->[0] != DT_RUNPATH && $_->[0] != DT_NULL } @{ $elf->{entries} };
  push @kept, [DT_RUNPATH, $path_at];
  my $spare = @{ $elf->{entries} } - @kept;
  return 0 if $spare < 1;
  my $entries = join '', map { pack 'Q< Q<', @$_ } @kept, ([DT_NULL, 0]) x $spare;
  substr($elf->{bytes}, $elf->{dynamic}{offset}, length $entries) = $entries;
  return 1;
}

# Sections are for tools that look at the file; what runs it goes by program headers.
sub move_section {
  my ($elf, $type, $from, @place) = @_;
  for my $index (0 .. $elf->{sections} - 1) {
    my $at = $elf->{sections_at} + SECTION_BYTES * $index;
    my ($its_type, $offset) = unpack 'x4 V x16 Q<', substr($elf->{bytes}, $at, SECTION_BYTES);
    next if $its_type != $type || $offset != $from;
    substr($elf->{bytes}, $at + 16, 24) = pack 'Q<3', @place;
  }
}
