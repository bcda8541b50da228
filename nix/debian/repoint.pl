# Has a program use a longer text in the place of one that is compiled into it: NEW is written over a
# text that nothing needs, and the code that takes OLD's address takes NEW's. Reads and writes ELF files
# of the set's machine types, whatever machine it runs on.
#
#   perl repoint.pl FILE OLD NEW ROOM       ROOM is how the text begins that is given up
#
# Ends with 1 and changes nothing where the program is not made as expected here.

use strict;
use warnings;
use constant { X86_64 => 62, AARCH64 => 183 };
use constant { PT_LOAD => 1, EXECUTABLE => 1, HEADER_BYTES => 56 };
# How many instructions may lie between the two that make an address of 64 bits.
use constant AARCH64_REACH => 4;

my ($file, $old, $new, $room) = @ARGV;
open(my $in, '<:raw', $file) or die "$file: $!\n";
my $bytes = do { local $/; <$in> };
my ($machine, $headers_at, $count) = unpack 'x18 v x12 Q< x16 v', $bytes;
my @loads = grep { $_->{type} == PT_LOAD } map {
  my %header;
  @header{qw(type flags offset address physical size)} =
    unpack 'V V Q<4', substr($bytes, $headers_at + HEADER_BYTES * $_, HEADER_BYTES);
  \%header;
} 0 .. $count - 1;

my $old_at = index($bytes, "\0$old\0") + 1 or die "$file has no $old\n";
my ($room_at) = grep { length(unpack 'Z*', substr($bytes, $_, 4096)) >= length $new } places($room);
die "$file has no room for $new\n" if !$room_at;
my ($from, $to) = map { address($_) } $old_at, $room_at;
my @changes = $machine == X86_64 ? of_x86_64() : $machine == AARCH64 ? of_aarch64() : ();
die "$file does not use $old\n" if !@changes;
for my $change (@changes, [$room_at, "$new\0"]) {
  my ($at, $content) = @$change;
  substr($bytes, $at, length $content) = $content;
}
open(my $out, '+<:raw', $file) or die "$file: $!\n";
print $out $bytes;
close $out or die "$file: $!\n";

sub places {
  my ($text) = @_;
  my @found;
  push @found, $-[1] while $bytes =~ /\0(?=(\Q$text\E))/g;
  return @found;
}

sub address {
  my ($at) = @_;
  my ($load) = grep { $at >= $_->{offset} && $at < $_->{offset} + $_->{size} } @loads;
  return $load ? $at - $load->{offset} + $load->{address} : die "$file does not load $at\n";
}

# lea: the distance from the next instruction.
sub of_x86_64 {
  my @found;
  for my $load (grep { $_->{flags} & EXECUTABLE } @loads) {
    my $code = substr $bytes, $load->{offset}, $load->{size};
    while ($code =~ /[\x48\x4c]\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d](?=(.{4}))/gs) {
      my $next = $load->{address} + $+[1];
      push @found, [$load->{offset} + $-[1], pack 'l<', $to - $next]
        if unpack('l<', $1) + $next == $from;
    }
  }
  return @found;
}

# adrp, the distance of its page, and add, the place in the page, in the same register.
sub of_aarch64 {
  my @found;
  for my $load (grep { $_->{flags} & EXECUTABLE } @loads) {
    my @words = unpack 'V*', substr($bytes, $load->{offset}, $load->{size});
    for my $index (0 .. $#words) {
      next if ($words[$index] & 0x9f000000) != 0x90000000;
      my $page = ($load->{address} + 4 * $index) >> 12;
      my $distance = ($words[$index] >> 5 & 0x7ffff) << 2 | $words[$index] >> 29 & 3;
      $distance -= 1 << 21 if $distance >= 1 << 20;
      next if $page + $distance != $from >> 12;
      my $register = $words[$index] & 31;
      my $add = 0x91000000 | ($from & 0xfff) << 10 | $register << 5 | $register;
      for my $other ($index + 1 .. $index + AARCH64_REACH) {
        next if ($words[$other] // 0) != $add;
        my $there = ($to >> 12) - $page & (1 << 21) - 1;
        my $adrp = 0x90000000 | ($there & 3) << 29 | $there >> 2 << 5 | $register;
        my $at = $load->{offset};
        push @found, [$at + 4 * $index, pack 'V', $adrp];
        push @found, [$at + 4 * $other, pack 'V', $add & ~(0xfff << 10) | ($to & 0xfff) << 10];
        last;
      }
    }
  }
  return @found;
}
