#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
#
# Certificates for the two sidecars of this example, as a mesh's authority would hand them out. Each side has a folder laid out as
# Kubernetes lays out a mounted secret: tls.pem, tls.key and bundle.pem point into ..data, which is a link to the folder in force and is
# replaced at one stroke. The authority's own key stays in authority/.

set -eu

usage() {
  cat <<'USAGE'
usage: certs.sh make FOLDER     an authority, and a certificate for each of a and b (spiffe://mesh.test/ns/shop/sa/NAME)
       certs.sh rotate FOLDER   a new authority and new certificates, in three steps that overlap: both sides trust the old and the new
                                one, both have new certificates, both trust the new one alone
  PAUSE=1                       seconds between the steps, for the sidecars to notice
USAGE
}

[ $# -eq 2 ] || { usage >&2; exit 2; }
action=$1 folder=$2
mkdir -p "$folder/authority"
cd "$folder"

new_authority() {  # authority/N.pem, authority/N.key
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj "/CN=mesh authority $1" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
    -addext subjectAltName=URI:spiffe://mesh.test -keyout "authority/$1.key" -out "authority/$1.pem" 2>/dev/null
}

new_certificate() {  # NAME AUTHORITY FOLDER: FOLDER/tls.pem, FOLDER/tls.key
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" -keyout "$3/tls.key" \
    -out "$3/request.pem" 2>/dev/null
  cat > "$3/extensions" <<END
subjectAltName=URI:spiffe://mesh.test/ns/shop/sa/$1
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth,clientAuth
basicConstraints=critical,CA:FALSE
END
  openssl x509 -req -in "$3/request.pem" -CA "authority/$2.pem" -CAkey "authority/$2.key" -days 30 -extfile "$3/extensions" \
    -out "$3/tls.pem" 2>/dev/null
  rm "$3/request.pem" "$3/extensions"
}

# install NAME: what was prepared in NAME/next takes the place of what is in force.
install() {
  before=$(readlink "$1/..data" || true)
  version=$(mktemp -d "$1/..vXXXXXX")
  chmod 755 "$version"
  mv "$1"/next/* "$version/"
  rmdir "$1/next"
  ln -s "$(basename "$version")" "$1/..data_new"
  mv -T "$1/..data_new" "$1/..data"
  for file in tls.pem tls.key bundle.pem; do
    [ -L "$1/$file" ] || ln -s "..data/$file" "$1/$file"
  done
  [ -z "$before" ] || rm -r "${1:?}/$before"
}

# prepare NAME: a copy of what is in force, to be changed.
prepare() {
  rm -rf "$1/next"
  mkdir -p "$1/next"
  for file in tls.pem tls.key bundle.pem; do
    if [ -e "$1/$file" ]; then cp "$1/$file" "$1/next/"; fi
  done
}

case $action in
  make)
    new_authority 1
    echo 1 > authority/current
    for name in a b; do
      prepare $name
      new_certificate $name 1 $name/next
      cp authority/1.pem $name/next/bundle.pem
      install $name
    done
    ;;
  rotate)
    old=$(cat authority/current)
    new=$((old + 1))
    new_authority $new
    for name in a b; do
      prepare $name
      cat "authority/$old.pem" "authority/$new.pem" > $name/next/bundle.pem
      install $name
    done
    sleep "${PAUSE:-1}"
    for name in a b; do
      prepare $name
      new_certificate $name $new $name/next
      install $name
    done
    sleep "${PAUSE:-1}"
    for name in a b; do
      prepare $name
      cp "authority/$new.pem" $name/next/bundle.pem
      install $name
    done
    echo $new > authority/current
    rm -f "authority/$old.pem" "authority/$old.key"
    ;;
  *) usage >&2; exit 2 ;;
esac
