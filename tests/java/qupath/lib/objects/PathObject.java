package qupath.lib.objects;

import java.io.*;
import java.util.*;
import qupath.lib.measurements.MeasurementList;
import qupath.lib.objects.classes.PathClass;
import qupath.lib.roi.ROI;

/** What QuPath's data files say of an object; no more than is needed to read and write them. */
public abstract class PathObject implements Externalizable {
    private static final long serialVersionUID = 1L;
    public static boolean writeVersion4 = false;

    public String name;
    public Integer color;
    public UUID id = new UUID(1, 2);
    public MetadataMap metadata;
    public MeasurementList measurements;
    public final List<PathObject> children = new ArrayList<>();

    @Override
    public void writeExternal(ObjectOutput out) throws IOException {
        out.writeObject(name);
        out.writeObject(color);
        if (writeVersion4) {
            out.writeObject(id);
            out.writeInt(metadata == null ? 1 : 2);
            if (metadata != null) out.writeObject(metadata);
            out.writeObject(measurements);
        } else {
            if (metadata != null) out.writeObject(metadata);
            out.writeObject(measurements);
        }
        out.writeInt(children.size());
        for (PathObject child : children) out.writeObject(child);
    }

    @Override
    public void readExternal(ObjectInput in) throws IOException, ClassNotFoundException {
        name = (String) in.readObject();
        color = (Integer) in.readObject();
        Object next = in.readObject();
        if (next instanceof MetadataMap) {
            metadata = (MetadataMap) next;
            id = UUID.fromString(metadata.map.remove("Object ID"));
            next = in.readObject();
        }
        measurements = (MeasurementList) next;
        int count = in.readInt();
        for (int i = 0; i < count; i++) children.add((PathObject) in.readObject());
    }
}

class PathROIObject extends PathObject {
    private static final long serialVersionUID = 1L;
    public PathClass pathClass;
    public ROI roi;
    public boolean locked;

    @Override
    public void writeExternal(ObjectOutput out) throws IOException {
        super.writeExternal(out);
        out.writeObject(Boolean.valueOf(locked));
        out.writeObject(pathClass);
        out.writeObject(roi);
        out.writeDouble(Double.NaN);
    }

    @Override
    public void readExternal(ObjectInput in) throws IOException, ClassNotFoundException {
        super.readExternal(in);
        locked = (Boolean) in.readObject();
        pathClass = (PathClass) in.readObject();
        roi = (ROI) in.readObject();
        if (!Double.isNaN(in.readDouble())) throw new IOException("a probability");
    }
}
