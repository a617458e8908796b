/* unique.pml: unique values that move from row to row (docs/protocol.md, "Load", "Index" and "Replay"). What each name stands for in the
 * program is in docs/model.md.
 *
 * A row is the value of its one unique column, 0 for no row. Users change, swap, rotate, move and remove values; a transaction is one
 * step here, because late commits are replay.pml's. The load reads row after row, at different moments, into a target without the key;
 * then rows that share a value are parted and the key is built; then lanes replay. A batch is any set of entries, its rows are of one
 * snapshot, and one batch may be taken while the one before it is applied. We may die between any two steps.
 *
 * The property: when drain has found record and repair list empty, the target is the source. A second one: nothing is ever stuck, so
 * that the key can be built and every batch applied.
 *
 *   FUZZY            the target is loaded while rows move, and the key is built after: must hold
 *   NO_PART          the key is built without looking for rows that share a value                            C18
 *   PART_FIRST       the first of the rows that share a value stays, and none is read again: this holds, each has an entry
 *   PLAIN            rows are written one by one; a value that is there already is an error                  C9
 *   OTHER_ROW        ... or changes the row that has it (ON DUPLICATE KEY UPDATE)                            C9
 *   NO_REPAIRS       what was in the way is not noted; with one lane this holds, because it has an entry     C9
 *   REPAIRS_AFTER    ... or is noted in a transaction after the apply                                        C9
 *   LANES            two lanes, by key; each reads the repairs of its own keys: must hold
 *   ANY_REPAIRS      each lane reads all repairs                                                             C4
 *   NO_STAMPS        a key that was put on the list again since it was read is struck too: this holds for repairs
 *   MOVING           a batch's rows are read at different moments                                            C2
 *   AHEAD            the next batch is taken while one is applied: must hold
 */
#ifndef TXNS
#define TXNS 3
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#define KEYS 3
#define ENTRIES 6
#ifdef NO_PART
#define FUZZY
#endif
#ifdef PART_FIRST
#define FUZZY
#endif
#ifdef ANY_REPAIRS
#define LANES
#endif
#define BIT(i) (1<<(i))
#define each(v,n,body) v=0; do :: v<n -> body; v++ :: else -> break od; v=0

#define ALL 7

byte src[KEYS], tgt[KEYS];
byte entryKey[ENTRIES]; byte seen, entries, txns, deaths;     /* seen: the entries that are in the record */
byte repairs, again;                                          /* again: those put on the list once more since a lane has read it */
bool shut, built, drained;

#define mine(k) (LANE_OF(k)==lane)
#ifdef LANES
#define LANE_OF(k) (k%2)
#else
#define LANE_OF(k) 0
#endif
#ifdef ANY_REPAIRS
#define myRepair(k) true
#else
#define myRepair(k) mine(k)
#endif

/* ---- the application: every kind of change that moves values ---- */
inline note(k) { entryKey[entries]=k; seen=seen|BIT(entries); entries++ }
#define free(v) (src[0]!=v && src[1]!=v && src[2]!=v)
#define CHANGE(k,v) :: entries<ENTRIES && src[k]!=v && free(v) -> src[k]=v; note(k)
#define REMOVE(k) :: entries<ENTRIES && src[k]!=0 -> src[k]=0; note(k)
#define SWAP(a,b) :: entries+1<ENTRIES && src[a]!=src[b] -> v=src[a]; src[a]=src[b]; src[b]=v; v=0; note(a); note(b)   /* also a move to an empty row */
#define ROTATE :: entries+2<ENTRIES && src[0]!=0 && src[1]!=0 && src[2]!=0 -> v=src[0]; src[0]=src[1]; src[1]=src[2]; src[2]=v; v=0; note(0); note(1); note(2)
proctype User() {
  byte v;
  do
  :: atomic { txns<TXNS ->
       if
       CHANGE(0,1) CHANGE(0,3) CHANGE(1,1) CHANGE(1,2) CHANGE(2,2) CHANGE(2,3)
       REMOVE(0) REMOVE(1) REMOVE(2)
       SWAP(0,1) SWAP(1,2) SWAP(0,2)
       ROTATE
       :: else -> skip
       fi; txns++; printf("user: source %d %d %d\n",src[0],src[1],src[2]) }
  :: atomic { shut=true; printf("shut-source\n") } -> break
  od
}

/* ---- load, part, build ---- */
#define shares(k) (tgt[k]!=0 && ((k!=0 && tgt[0]==tgt[k]) || (k!=1 && tgt[1]==tgt[k]) || (k!=2 && tgt[2]==tgt[k])))
#define dies (deaths<DEATHS)
proctype Index() {
  byte k, part;
#ifdef FUZZY
  byte left=ALL;
  do
  :: atomic { left & 1 -> tgt[0]=src[0]; left=left-1 }
  :: atomic { left & 2 -> tgt[1]=src[1]; left=left-2 }
  :: atomic { left & 4 -> tgt[2]=src[2]; left=left-4 }
  :: left==0 -> break
  od;
  printf("load: target %d %d %d\n",tgt[0],tgt[1],tgt[2]);
#ifndef NO_PART
  d_step {
    each(k,KEYS, if :: shares(k) -> part=part|BIT(k) :: else fi);
#ifdef PART_FIRST
    if :: part & 1 -> part=part & 6 :: (part & 1)==0 && (part & 2)!=0 -> part=part & 4 :: else fi;
#else
    repairs=repairs|part;
#endif
    each(k,KEYS, if :: part & BIT(k) -> tgt[k]=0 :: else fi); part=0;
    printf("part: target %d %d %d repairs %d\n",tgt[0],tgt[1],tgt[2],repairs) };
#endif
#endif
  !shares(0) && !shares(1) && !shares(2);       /* CREATE UNIQUE INDEX; where a value is there twice it fails for ever */
  built=true; printf("index.build.after\n")
}
/* ---- replay ---- */
#define takeable(i) (i<entries && (seen & BIT(i)) && mine(entryKey[i]))
#define T(i) takeable(i)
#define ANY (T(0)||T(1)||T(2)||T(3)||T(4)||T(5))
#define behind(i) ((i<1&&T(1))||(i<2&&T(2))||(i<3&&T(3))||(i<4&&T(4))||(i<5&&T(5)))
#define MEND ((repairs & 1 && myRepair(0)) || (repairs & 2 && myRepair(1)) || (repairs & 4 && myRepair(2)))

/* entries: any of those that are seen; none where there are repairs to do. */
inline some() {
  i=0;
  do
  :: i<ENTRIES ->
     if
     :: T(i) && !(now & BIT(i)) -> batch=batch|BIT(i); keys=keys|BIT(entryKey[i])
     :: T(i) && (batch!=0 || behind(i) || mended!=0 || now!=0) -> skip
     :: !T(i) || (now & BIT(i)) -> skip
     fi; i++
  :: else -> break
  od; i=0
}
inline write(k, v) {
#ifdef PLAIN
  if :: v!=0 && ((k!=0 && tgt[0]==v) || (k!=1 && tgt[1]==v) || (k!=2 && tgt[2]==v)) -> clash=true :: else -> tgt[k]=v fi
#else
#ifdef OTHER_ROW
  if :: v!=0 && k!=0 && tgt[0]==v -> if :: tgt[k]==0 -> skip :: else -> tgt[0]=0; tgt[k]=v fi
     :: v!=0 && k!=1 && tgt[1]==v && !(k!=0 && tgt[0]==v) -> if :: tgt[k]==0 -> skip :: else -> tgt[1]=0; tgt[k]=v fi
     :: v!=0 && k!=2 && tgt[2]==v && !(k!=0 && tgt[0]==v) && !(k!=1 && tgt[1]==v) -> if :: tgt[k]==0 -> skip :: else -> tgt[2]=0; tgt[k]=v fi
     :: else -> tgt[k]=v fi
#else
  tgt[k]=v
#endif
#endif
}
/* what of another key holds a value about to be written goes, and is noted */
inline displace(k) {
  each(i,KEYS, if :: (keys & BIT(i)) && i!=k && image[i]!=0 && image[i]==tgt[k] && !(keys & BIT(k)) -> displaced=displaced|BIT(k); tgt[k]=0 :: else fi)
}
inline list(set) { again=again|(set & repairs); repairs=repairs|set }

proctype Lane(byte lane) {
  byte now, batch, keys, mended, displaced, i, k; byte image[KEYS];
#ifdef AHEAD
  byte next, nextKeys; byte nextImage[KEYS]; bool ready;
#endif
#ifdef PLAIN
  bool clash; byte was[KEYS];
#endif
  built;
  do
  :: atomic { (ANY || MEND) && !drained ->
       each(k,KEYS, if :: (repairs & BIT(k)) && myRepair(k) -> mended=mended|BIT(k) :: else fi); again=again & (7-mended); keys=mended;
       some(); now=batch; batch=0;
#ifndef MOVING
       each(k,KEYS, if :: keys & BIT(k) -> image[k]=src[k] :: else fi);
#endif
       printf("lane %d: replay.taken entries %d repairs %d keys %d\n",lane,now,mended,keys) };
#ifdef MOVING
     atomic { if :: keys & 1 -> image[0]=src[0] :: else fi }; atomic { if :: keys & 2 -> image[1]=src[1] :: else fi }; atomic { if :: keys & 4 -> image[2]=src[2] :: else fi };
#endif
retry:
#ifdef AHEAD
     if
     :: atomic { ANY && !ready -> nextKeys=keys; keys=0; some(); next=batch; batch=0; each(k,KEYS, if :: keys & BIT(k) -> nextImage[k]=src[k] :: else fi);
          k=keys; keys=nextKeys; nextKeys=k; k=0; ready=(next!=0); printf("lane %d: replay.taken ahead entries %d keys %d\n",lane,next,nextKeys) }
     :: skip
     fi;
#endif
     if :: skip :: atomic { dies -> deaths++; now=0; keys=0; mended=0; each(k,KEYS, image[k]=0);
#ifdef AHEAD
            next=0; nextKeys=0; ready=false; each(k,KEYS, nextImage[k]=0);
#endif
            printf("lane %d: dies\n",lane); goto done } fi;
     d_step {
#ifdef PLAIN
       each(k,KEYS, was[k]=tgt[k]);
#else
#ifndef OTHER_ROW
       each(k,KEYS, if :: keys & BIT(k) -> tgt[k]=0 :: else fi);
       displace(0); displace(1); displace(2);
#endif
#endif
       each(k,KEYS, if :: keys & BIT(k) -> write(k,image[k]) :: else fi);
#ifdef PLAIN
       if :: clash -> each(k,KEYS, tgt[k]=was[k]) :: else fi; each(k,KEYS, was[k]=0);
#endif
#ifdef NO_STAMPS
       repairs=repairs & (7-mended); again=again & (7-mended);
#else
       repairs=repairs & (7-(mended & (7-again)));
#endif
#ifdef NO_REPAIRS
       displaced=0;
#endif
       assert(!shares(0) && !shares(1) && !shares(2));          /* or the server refuses the batch */
#ifndef REPAIRS_AFTER
       list(displaced); displaced=0;
#endif
       keys=0; mended=0; each(k,KEYS, image[k]=0);
       printf("lane %d: replay.apply, target %d %d %d repairs %d\n",lane,tgt[0],tgt[1],tgt[2],repairs) };
#ifdef PLAIN
     if :: atomic { clash -> if :: shut && now==seen -> printf("STUCK: the batch is the whole record, and it clashes\n"); assert(false) :: else fi;
            clash=false; now=0; goto done } :: else fi;
#endif
     if :: skip :: atomic { dies -> deaths++; now=0; displaced=0;
#ifdef AHEAD
            next=0; nextKeys=0; ready=false; each(k,KEYS, nextImage[k]=0);
#endif
            printf("lane %d: dies after the apply\n",lane); goto done } fi;
     d_step {
#ifdef REPAIRS_AFTER
       list(displaced); displaced=0;
#endif
       each(i,ENTRIES, if :: now & BIT(i) -> seen=seen & (255-BIT(i)); entryKey[i]=0 :: else fi); now=0; printf("lane %d: replay.forgotten\n",lane) };
#ifdef AHEAD
     if :: atomic { ready -> now=next; keys=nextKeys; each(k,KEYS, image[k]=nextImage[k]; nextImage[k]=0); next=0; nextKeys=0; ready=false; goto retry } :: else -> skip fi;
#endif
done: skip
  :: drained -> break
  od
}
/* ---- drain ---- */
proctype Procedure() {
  atomic { built && shut && seen==0 && repairs==0 -> drained=true; printf("drain: source %d %d %d target %d %d %d\n",src[0],src[1],src[2],tgt[0],tgt[1],tgt[2]);
    assert(src[0]==tgt[0] && src[1]==tgt[1] && src[2]==tgt[2]) }
}

init { atomic {
  src[0]=1; src[1]=2; src[2]=3;
#ifndef FUZZY
  tgt[0]=1; tgt[1]=2; tgt[2]=3;
#endif
  run User(); run Index(); run Lane(0);
#ifdef LANES
  run Lane(1);
#endif
  run Procedure() } }
