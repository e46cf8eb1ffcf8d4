package qupath.lib.objects;

import java.io.*;
import java.nio.file.*;
import java.util.*;
import qupath.lib.images.ImageData.ImageType;
import qupath.lib.measurements.MeasurementList;
import qupath.lib.objects.classes.PathClass;
import qupath.lib.objects.hierarchy.PathObjectHierarchy;
import qupath.lib.roi.*;

/** Reads data files as Java does, and writes some as QuPath does, for the tests of both. */
public class DataFile {
    public static void main(String[] words) throws Exception {
        if (words[0].equals("read")) read(words[1]);
        else write(words[1], words[2].equals("4"));
    }

    /** Prints, for each object, its parts apart by tabs. */
    private static void read(String path) throws Exception {
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        try (ObjectInputStream in = new ObjectInputStream(Files.newInputStream(Paths.get(path)))) {
            out.println(in.readUTF());
            out.println(in.readObject());
            out.println(((ImageType) in.readObject()).name());
            PathObjectHierarchy found = (PathObjectHierarchy) in.readObject();
            for (PathObject each : found.rootObject.children) {
                PathROIObject one = (PathROIObject) each;
                StringBuilder wkb = new StringBuilder();
                for (byte value : ((GeometryROI) one.roi).wkb) wkb.append(String.format("%02x", value));
                Object measured = one.measurements == null ? Map.of() : one.measurements.asMap();
                out.println(String.join("\t", one.getClass().getSimpleName(), one.name,
                    one.id.toString(), "" + one.pathClass, "" + one.pathClass.colorRGB,
                    "" + one.locked, "" + measured, "" + one.metadata.map, wkb));
            }
            out.println(in.readObject());
        }
    }

    private static PathROIObject object(PathROIObject made, String name, ROI roi, PathClass kind) {
        made.name = name;
        made.roi = roi;
        made.pathClass = kind;
        made.id = new UUID(0x123e4567e89b12d3L, 0xa456426614174000L);
        return made;
    }

    /** Writes what a person may have made in QuPath, with objects inside of objects. */
    private static void write(String path, boolean version4) throws Exception {
        PathObject.writeVersion4 = version4;
        PathClass tumor = new PathClass(null, "Tumor", 0xffc80000);
        PathClass unsure = new PathClass(tumor, "Unsure \u00e9\ud83d\udd2c", null);
        float[] x = {10, 110, 110, 10}, y = {20, 20, 220, 220};
        PathROIObject polygon = object(new PathAnnotationObject(), "a polygon", new PolygonROI(x, y), tumor);
        polygon.locked = true;
        polygon.metadata = new MetadataMap();
        polygon.metadata.map.put("ANNOTATION_DESCRIPTION", "seen by A\0B");
        Map<String, Double> values = new LinkedHashMap<>();
        values.put("area mm^2", 0.25);
        values.put("evidence", -1.5);
        polygon.measurements = MeasurementList.of(false, values);
        PathROIObject cell = object(new PathDetectionObject(), null, new RectangleROI(30, 40, 32, 43), null);
        cell.measurements = MeasurementList.of(true, values);
        polygon.children.add(cell);
        PathROIObject square = object(new PathAnnotationObject(), null, new RectangleROI(0, 5, 300, 405), unsure);
        square.color = 0xff00ff7f;
        PathObjectHierarchy hierarchy = new PathObjectHierarchy();
        hierarchy.rootObject.children.add(polygon);
        hierarchy.rootObject.children.add(square);
        try (ObjectOutputStream out = new ObjectOutputStream(Files.newOutputStream(Paths.get(path)))) {
            out.writeUTF("Data file version " + (version4 ? 4 : 3));
            out.writeObject("{\"dataVersion\":3,\"server\":null}");
            out.writeObject(Locale.US);
            out.writeObject(ImageType.BRIGHTFIELD_H_E);
            out.writeObject(null);
            out.writeObject(new HashMap<>(Map.of("some", new ArrayList<>(List.of(1.5, "x")))));
            out.writeObject(hierarchy);
            out.writeObject(new HashMap<String, Object>());
            out.writeObject("EOF");
        }
    }
}
