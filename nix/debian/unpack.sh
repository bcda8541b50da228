# Builds one store path out of .debs: one tree without /usr, links that stay inside the store, and
# programs that find their loader, libraries and interpreters there. Runs nothing it unpacks.
#
# Environment, from default.nix: out; package, its key in the lock; debs; inputs, `key=path` of all
# it depends on; shell, the store path of bash or empty; interpreter, the key of the one whose module it
# is or empty, and propagated, what that one has to find beside it; loader and multiarch; tools, what
# tools.sh made; elf and repoint, elf.pl and repoint.pl; fixups, scripts. What a package needs beyond the
# general rules is in fixups/<key>.sh, sourced at the end.

set -euo pipefail
shopt -s nullglob dotglob
export LC_ALL=C PATH=$tools/bin PERL5LIB=$tools/lib/perl-base
umask 022

fail() {
  echo "$package: $*" >&2
  exit 1
}

declare -A input=()
for pair in $inputs; do input[${pair%%=*}]=${pair#*=}; done

# ---- Unpack, and merge /usr, sbin, games, lib64 and the machine type's library folder away

raw=$out/.raw

unpack() {
  local deb excludes=()
  local -r unwanted=(
    usr/share/{doc,man,info,locale,lintian,doc-base,bug,menu,pixmaps,applications,apport}
    usr/share/{bash-completion,zsh,fish,metainfo,initramfs-tools}
    lib/systemd usr/lib/systemd lib/udev usr/lib/udev usr/lib/tmpfiles.d usr/lib/sysusers.d
    etc/{init.d,default,logrotate.d,apparmor.d,cron.d,cron.daily,ufw,bash_completion.d,init} var run
  )
  for path in "${unwanted[@]}"; do excludes+=("--exclude=./$path"); done
  mkdir -p "$raw"
  for deb in $debs; do
    dpkg-deb --fsys-tarfile "$deb" |
      tar -x -C "$raw" --anchored "${excludes[@]}" --no-same-owner --no-same-permissions
  done
  # Some files come without write permission, even for their owner.
  chmod -R u+w "$raw"
}

# Renames instead of copying: a copy onto a link (sbin/ip -> /bin/ip) would write through it, into
# the host. Where a link and a real file claim one name, the link is an alias of the file.
merge() {
  local from=$1 to=$2 entry
  if [[ -d $from && ! -L $from && -d $to && ! -L $to ]]; then
    for entry in "$from"/*; do merge "$entry" "$to/${entry##*/}"; done
  elif [[ -L $from && ( -e $to || -L $to ) ]]; then
    rm "$from"
  else
    mv -fT "$from" "$to"
  fi
}

merge_all() {
  local name
  for name in usr/bin:bin bin:bin usr/sbin:bin sbin:bin usr/games:bin \
    usr/lib:lib lib:lib usr/lib64:lib lib64:lib; do
    [[ ! -d $raw/${name%:*} ]] || merge "$raw/${name%:*}" "$out/${name#*:}"
  done
  # Libraries are in lib itself, as nixpkgs has them.
  [[ ! -d $out/lib/$multiarch ]] || merge "$out/lib/$multiarch" "$out/lib"
  [[ ! -d $raw/usr ]] || merge "$raw/usr" "$out"
  merge "$raw" "$out"
  rm -rf "$raw"
}

prune() {
  find "$out" -mindepth 1 -type d -empty -delete
}

# Where a path of the .deb lies in the merged tree; the answer is in $placed.
place() {
  placed=${1#/}
  placed=${placed#usr/}
  case $placed in
    sbin/* | games/*) placed=bin/${placed#*/} ;;
    lib64/*) placed=lib/${placed#*/} ;;
  esac
  [[ $placed != lib/$multiarch/* ]] || placed=lib/${placed#lib/*/}
}

# ---- Symbolic and hard links

# Removes `.` and `..` by text alone; the answer is in $normal.
normalise() {
  local part parts=()
  local IFS=/
  for part in $1; do
    case $part in
      '' | .) ;;
      ..) [[ ${#parts[@]} -eq 0 ]] || unset 'parts[-1]' ;;
      *) parts+=("$part") ;;
    esac
  done
  normal="/${parts[*]}"
}

# Links $1 to $2 by a relative path; both are paths inside $out.
link_inside() {
  local from=$1 to=$2 up=
  while [[ $from == */* && $to == */* && ${from%%/*} == "${to%%/*}" ]]; do
    from=${from#*/}
    to=${to#*/}
  done
  while [[ $from == */* ]]; do
    from=${from#*/}
    up+=../
  done
  ln -sfnT "$up$to" "$out/$1"
}

fix_links() {
  local path target at wanted found key
  while IFS=$'\t' read -r path target; do
    place "$path"
    at=$placed
    [[ -L $out/$at ]] || continue
    [[ $target == /* ]] && normalise "$target" || normalise "${path%/*}/$target"
    place "$normal"
    wanted=$placed
    if [[ -e $out/$wanted || -L $out/$wanted ]]; then
      [[ $wanted == "$at" ]] && rm "$out/$at" || link_inside "$at" "$wanted"
      continue
    fi
    found=
    for key in "${!input[@]}"; do
      # Keys come in no particular order, so the smallest path that has the file is taken.
      [[ -e ${input[$key]}/$wanted ]] || continue
      [[ -n $found && $found < ${input[$key]} ]] || found=${input[$key]}
    done
    if [[ -n $found ]]; then
      ln -sfnT "$found/$wanted" "$out/$at"
    elif [[ $normal != /etc/* || $normal == /etc/alternatives/* ]]; then
      # Leads to what was left out. A link into /etc can lead to a file of the image.
      rm "$out/$at"
    fi
  done
}

# An archive of a store path stores hard-linked files once for every name.
soften_hard_links() {
  local inode path last= first=
  while IFS=$'\t' read -r inode path; do
    if [[ $inode == "$last" ]]; then
      link_inside "$path" "$first"
    else
      last=$inode first=$path
    fi
  done < <(find "$out" -type f -links +1 -printf '%i\t%P\n' | sort -t $'\t' -k1,1n -k2)
}

# ---- Modules

move_folder() {
  [[ -d $out/$1 ]] || return 0
  mkdir -p "$out/$2"
  merge "$out/$1" "$out/$2"
}

# nixpkgs' interpreters look into other folders than Debian's, which have their version.
move_modules() {
  local folder site
  case $interpreter in
    python3)
      for folder in "${input[python3]}"/lib/python3.*; do site=lib/${folder##*/}/site-packages; done
      move_folder lib/python3/dist-packages "$site"
      ;;
    perl)
      for folder in "${input[perl]}"/share/perl/5.*; do
        [[ -L $folder ]] || site=lib/perl5/site_perl/${folder##*/}
      done
      move_folder share/perl5 "$site"
      # What is made for a machine type lies a folder deeper.
      for folder in "$out"/lib/perl5/5.*; do
        move_folder "${folder#"$out"/}" "$site/$multiarch-thread-multi"
      done
      ;;
    *) return 0 ;;
  esac
  prune
  mkdir -p "$out/nix-support"
  echo "$propagated" >"$out/nix-support/propagated-build-inputs"
  # What nix-env installs with it, which nixpkgs' modules of Python do not say.
  [[ $interpreter != perl ]] ||
    ln -s propagated-build-inputs "$out/nix-support/propagated-user-env-packages"
}

# ---- Programs, libraries and scripts

declare -A library_folder=()

index_libraries() {
  local file folder
  while IFS= read -r file; do
    library_folder[${file##*/}]=${file%/*}
  done < <(find "$out" -name '*.so*' -not -type d | sort -r)
  for folder in "${input[@]}" "$out"; do
    for file in "$folder"/lib/*.so*; do
      library_folder[${file##*/}]=${file%/*}
    done
  done
}

# Reads the files to fix from its input.
fix_elf() {
  local library glibc=${input[glibc]-}
  [[ ! -e $out/$loader ]] || glibc=$out
  {
    for library in "${!library_folder[@]}"; do
      printf '%s\t%s\n' "$library" "${library_folder[$library]}"
    done
    cat
  } | perl "$elf" "${glibc:+$glibc/$loader}" || fail "has files that could not run"
}

# The store path of a program that a script names; the answer is in $program, empty if there is
# none.
find_program() {
  local name=$1 folder
  program=
  for folder in "$out" "${input[@]}" $shell; do
    [[ -e $folder/bin/$name || -L $folder/bin/$name ]] || continue
    [[ -n $program && $program < $folder/bin/$name ]] || program=$folder/bin/$name
  done
}

perl_folders() {
  local folder
  for folder in "$out" "${input[@]}"; do
    [[ $folder == "${input[perl]-}" ]] && continue
    # Of a folder of modules perl itself takes those of its version and machine type.
    for folder in "$folder"/lib/perl5/site_perl "$folder"/share/perl5; do
      [[ ! -d $folder ]] || echo "$folder"
    done
  done | sort
}

fix_script() {
  local file=$1 line words name
  IFS= read -r line <"$file" || true
  read -r -a words <<<"${line#\#!}"
  if [[ ${words[0]-} == */env ]]; then
    words=("${words[@]:1}")
    [[ ${words[0]-} != -S ]] || words=("${words[@]:1}")
  fi
  name=${words[0]-}
  name=${name##*/}
  [[ -n $name ]] || return 0
  # Most packages do not depend on bash by themselves, and bash has no `sh` before its fix-up.
  [[ $name != sh ]] || name=bash
  find_program "$name"
  if [[ -z $program ]]; then
    # No dependency has the interpreter. An image that names it as well can still run the script.
    [[ ${#words[@]} -gt 1 || $file != "$out"/bin/* ]] || sed -i "1s|.*|#!/usr/bin/env $name|" "$file"
    return 0
  fi
  [[ ${words[0]##*/} != sh ]] || program=${program%/bash}/sh
  line="#!$program${words[1]+ ${words[*]:1}}"
  if [[ $name == perl && $package != perl && -n $(perl_folders) ]]; then
    line+="\\nuse lib qw($(perl_folders | tr '\n' ' '));"
  fi
  sed -i "1s|.*|$line|" "$file"
}

fix_files() {
  local file magic programs=()
  while IFS= read -r -d '' file; do
    IFS= read -r -d '' -n 4 magic <"$file" || true
    case $magic in
      $'\177ELF') programs+=("$file") ;;
      '#!'*) [[ ! -x $file ]] || fix_script "$file" ;;
    esac
  done < <(find "$out" -type f -size +3c -print0 | sort -z)
  [[ ${#programs[@]} -eq 0 ]] || printf '%s\n' "${programs[@]}" | fix_elf
}

# ---- For fix-ups

# wrap NAME LINE...: puts a script before bin/NAME that runs LINEs first. The program keeps the name
# it was called by, since many act by it. Out of bin, so that an image's /bin shows it once.
wrap() {
  local name=$1
  shift
  mkdir -p "$out/libexec"
  mv "$out/bin/$name" "$out/libexec/$name"
  wrapper "$name" "libexec/$name" "$@"
}

# wrapper NAME TARGET LINE...: the script alone, for a program that lies elsewhere in $out already.
wrapper() {
  local name=$1 target=$2
  shift 2
  {
    echo "#!${shell:-$out}/bin/bash"
    printf '%s\n' "$@"
    echo "exec -a \"\$0\" $out/$target \"\$@\""
  } >"$out/bin/$name"
  chmod 755 "$out/bin/$name"
}

# ----

unpack
links=$(find "$raw" -type l -printf '%P\t%l\n' | sort)
merge_all
prune
[[ -z $links ]] || fix_links <<<"$links"
move_modules
soften_hard_links
index_libraries
fix_files
cd "$out"
for fixup in $fixups; do . "$fixup"; done
cd /
prune
